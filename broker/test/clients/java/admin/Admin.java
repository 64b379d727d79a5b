import com.alibaba.fastjson.JSONArray;
import com.alibaba.fastjson.JSONObject;
import java.io.ByteArrayOutputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import org.apache.commons.cli.CommandLine;
import org.apache.commons.cli.Options;
import org.apache.commons.cli.PosixParser;
import org.apache.rocketmq.srvutil.ServerUtil;
import org.apache.rocketmq.tools.command.MQAdminStartup;
import org.apache.rocketmq.tools.command.SubCommand;

/**
 * A command of mqadmin, in this process: what it prints. Several at a time, because each spends three seconds on ending its
 * client; that is why this does what MQAdminStartup.main0 does instead of calling it.
 */
public final class Admin {
    private static final ThreadLocal<OutputStream> KEPT = new ThreadLocal<>();
    /** What a command ends with, before it has asked anything, when another one began in the same millisecond. */
    private static final String NAME_TAKEN = "The adminExt group[admin_ext_group] has created already";
    private static Method find;

    private Admin() {
    }

    public static JSONObject run(JSONArray given) throws Exception {
        String[] words = given.toArray(new String[0]);
        String out = once(words);
        while (out.contains(NAME_TAKEN)) out = once(words);
        JSONObject o = new JSONObject(true);
        o.put("out", out);
        return o;
    }

    private static String once(String[] words) throws Exception {
        SubCommand command = command(words[0]);
        Options options = ServerUtil.buildCommandlineOptions(new Options());
        String[] rest = java.util.Arrays.copyOfRange(words, 1, words.length);
        ByteArrayOutputStream kept = new ByteArrayOutputStream();
        KEPT.set(kept);
        try {
            CommandLine line = ServerUtil.parseCmdLine("mqadmin " + words[0], rest, command.buildCommandlineOptions(options), new PosixParser());
            if (line != null) command.execute(line, options, null);
        } catch (Exception e) {
            // As main0 does.
            e.printStackTrace(System.out);
        } finally {
            System.out.flush();
            KEPT.remove();
        }
        return kept.toString(StandardCharsets.UTF_8);
    }

    /** A command of its own for each run. They name their clients by the millisecond: two in one are made unlikely. */
    private static synchronized SubCommand command(String name) throws Exception {
        if (find == null) {
            MQAdminStartup.initCommand();
            find = MQAdminStartup.class.getDeclaredMethod("findSubCommand", String.class);
            find.setAccessible(true);
            System.setProperty("rocketmq.namesrv.addr", Driver.nameServer);
            PrintStream otherwise = System.out;
            System.setOut(new PrintStream(new OutputStream() {
                @Override
                public void write(int b) throws java.io.IOException {
                    to().write(b);
                }

                @Override
                public void write(byte[] bytes, int from, int length) throws java.io.IOException {
                    to().write(bytes, from, length);
                }

                private OutputStream to() {
                    OutputStream kept = KEPT.get();
                    return kept == null ? otherwise : kept;
                }
            }, true, StandardCharsets.UTF_8));
        }
        Thread.sleep(40);
        SubCommand shared = (SubCommand) find.invoke(null, name);
        if (shared == null) throw new IllegalArgumentException("mqadmin has no command " + name);
        return shared.getClass().getDeclaredConstructor().newInstance();
    }
}
