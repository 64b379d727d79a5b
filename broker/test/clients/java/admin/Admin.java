import com.alibaba.fastjson.JSONArray;
import com.alibaba.fastjson.JSONObject;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import org.apache.rocketmq.tools.command.MQAdminStartup;

/** A command of mqadmin, in this process: what it prints. One at a time, because it prints to System.out. */
public final class Admin {
    private Admin() {
    }

    public static synchronized JSONObject run(JSONArray words) {
        ByteArrayOutputStream kept = new ByteArrayOutputStream();
        PrintStream before = System.out;
        PrintStream errors = System.err;
        PrintStream to = new PrintStream(kept, true, StandardCharsets.UTF_8);
        System.setOut(to);
        System.setErr(to);
        try {
            MQAdminStartup.main0(words.toArray(new String[0]), null);
        } finally {
            System.setOut(before);
            System.setErr(errors);
        }
        JSONObject o = new JSONObject(true);
        o.put("out", kept.toString(StandardCharsets.UTF_8));
        return o;
    }
}
