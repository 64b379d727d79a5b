import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.StringJoiner;

/**
 * A producer, and a consumer where one is asked for, over the client as it is: warms up, measures, then checks what the broker has. Prints
 * two JSON lines, what was measured and what the check found; ends with 1 and a sentence where it cannot go on.
 *
 * <p>Load NAME_SERVER MODE THREADS OUTSTANDING CONSUMER WARMUP_SECONDS SECONDS BROKER_PID, MODE being sync or async, CONSUMER true or
 * false.
 */
public final class Load {
    static final String TOPIC = "Figures";
    static final int QUEUES = 8;
    /** More than any broker takes here in a second. */
    private static final int MOST_A_SECOND = 250_000;
    private static final PrintStream OUT = new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);

    private Load() {
    }

    public static void main(String[] args) {
        System.setOut(System.err);
        System.setProperty("com.rocketmq.sendMessageWithVIPChannel", "false");
        int status = 1;
        try {
            run(args);
            status = 0;
        } catch (Throwable e) {
            e.printStackTrace();
        }
        System.exit(status);
    }

    private static void run(String[] args) throws Exception {
        String nameServer = args[0];
        boolean isAsync = args[1].equals("async");
        int threads = Integer.parseInt(args[2]);
        int outstanding = Integer.parseInt(args[3]);
        boolean hasConsumer = Boolean.parseBoolean(args[4]);
        int warmup = Integer.parseInt(args[5]);
        int seconds = Integer.parseInt(args[6]);
        ProcessClock broker = new ProcessClock(args[7]);
        ProcessClock client = new ProcessClock("self");

        Messages messages = new Messages((warmup + seconds + 10) * MOST_A_SECOND);
        Sending sending = new Sending(nameServer, messages, threads, isAsync ? outstanding : 0);
        sending.makeTopic();
        Consuming consuming = hasConsumer ? new Consuming(nameServer, messages) : null;
        if (consuming != null) consuming.awaitQueues();

        sending.start();
        Thread.sleep(warmup * 1000L);
        sending.latencies.begin();
        if (consuming != null) consuming.latencies.begin();
        long sent = sending.sent();
        long failed = sending.failed();
        long consumed = consuming == null ? 0 : consuming.consumed();
        double brokerCpu = broker.seconds();
        double clientCpu = client.seconds();
        long start = System.nanoTime();
        Thread.sleep(seconds * 1000L);
        double passed = (System.nanoTime() - start) / 1e9;
        sent = sending.sent() - sent;
        failed = sending.failed() - failed;
        consumed = (consuming == null ? 0 : consuming.consumed()) - consumed;
        brokerCpu = broker.seconds() - brokerCpu;
        clientCpu = client.seconds() - clientCpu;
        sending.latencies.end();
        if (consuming != null) consuming.latencies.end();

        Map<String, Object> figures = new LinkedHashMap<>();
        figures.put("kind", "measured");
        figures.put("seconds", passed);
        figures.put("messages", sent);
        figures.put("failedSends", failed);
        figures.put("messagesPerSecond", sent / passed);
        figures.put("cpuSecondsPerMillion", brokerCpu * 1e6 / sent);
        figures.put("clientCpuSecondsPerMillion", clientCpu * 1e6 / sent);
        figures.put("p50Micros", sending.latencies.micros(0.5));
        figures.put("p99Micros", sending.latencies.micros(0.99));
        if (consuming != null) {
            figures.put("consumedPerSecond", consumed / passed);
            figures.put("endToEndP50Micros", consuming.latencies.micros(0.5));
            figures.put("endToEndP99Micros", consuming.latencies.micros(0.99));
        }
        print(figures);

        sending.stop();
        if (consuming != null) consuming.awaitAll();
        Map<String, Object> check = new LinkedHashMap<>();
        check.put("kind", "checked");
        check.put("acknowledged", messages.acknowledged());
        check.put("failed", sending.failed());
        check.put("failures", sending.failures());
        check.put("stored", sending.stored());
        check.put("damaged", messages.damaged() + (consuming == null ? sending.damagedOfSample() : 0));
        if (consuming != null) {
            check.put("lost", messages.notConsumed());
            check.put("repeated", messages.repeated());
            consuming.stop();
        }
        print(check);
        sending.shutdown();
    }

    /** Names and texts here have nothing that JSON would escape but quotes and backslashes. */
    private static void print(Map<String, Object> values) {
        StringJoiner line = new StringJoiner(",", "{", "}");
        values.forEach((name, value) -> line.add("\"" + name + "\":" + json(value)));
        OUT.println(line);
    }

    private static String json(Object value) {
        if (!(value instanceof String)) return value.toString();
        return "\"" + ((String) value).replace("\\", "\\\\").replace("\"", "\\\"").replaceAll("\\p{Cntrl}", " ") + "\"";
    }
}
