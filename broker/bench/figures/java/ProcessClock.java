import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Processor time of a process, all of its threads, in its own code and in the system's. */
final class ProcessClock {
    /** Of the fields behind the name, which may have anything in it. */
    private static final int USER = 11;
    private static final int SYSTEM = 12;
    /** A second of them, on every Linux. */
    private static final double TICKS = 100;

    private final Path stat;

    ProcessClock(String process) {
        stat = Path.of("/proc", process, "stat");
    }

    double seconds() throws IOException {
        String text = Files.readString(stat);
        String[] fields = text.substring(text.lastIndexOf(')') + 2).split(" ");
        return (Long.parseLong(fields[USER]) + Long.parseLong(fields[SYSTEM])) / TICKS;
    }
}
