import com.alibaba.fastjson.JSON;
import com.alibaba.fastjson.JSONArray;
import com.alibaba.fastjson.JSONObject;
import com.alibaba.fastjson.serializer.SerializerFeature;
import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.exception.MQClientException;

/** A client that does what standard input says, a JSON object a line, and prints what it sees (README.md). */
public final class Driver {
    private static final PrintStream OUT = new PrintStream(new FileOutputStream(FileDescriptor.out), false, StandardCharsets.UTF_8);
    static final Map<String, Part> PARTS = new ConcurrentHashMap<>();
    static String nameServer;

    /** A producer or consumer that was started under a name. */
    interface Part {
        JSONObject act(String what, JSONObject o) throws Exception;

        void stop() throws Exception;
    }

    private Driver() {
    }

    public static void main(String[] args) throws Exception {
        nameServer = args[0];
        System.setOut(System.err);
        ExecutorService pool = Executors.newCachedThreadPool(work -> {
            Thread thread = new Thread(work, "driver");
            thread.setDaemon(true);
            return thread;
        });
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        print(line("ready"));
        for (String text; (text = in.readLine()) != null;) {
            JSONObject command = JSON.parseObject(text);
            pool.execute(() -> carryOut(command));
        }
        System.exit(0);
    }

    private static void carryOut(JSONObject o) {
        JSONObject answer;
        try {
            answer = act(o.getString("do"), o);
            if (answer == null) answer = new JSONObject(true);
            answer.put("kind", "done");
        } catch (Throwable e) {
            answer = line("failed");
            answer.put("error", error(e));
        }
        answer.put("id", o.get("id"));
        print(answer);
    }

    private static JSONObject act(String what, JSONObject o) throws Exception {
        switch (what) {
            case "producer": return started(o, Producing.start(o));
            case "consumer": return started(o, Consuming.start(o));
            case "lite": return started(o, Pulling.lite(o));
            case "puller": return started(o, Pulling.plain(o));
            case "raw": return Raw.ask(o);
            case "stop":
                Part stopped = PARTS.remove(o.getString("name"));
                if (stopped == null) throw new IllegalArgumentException("nothing is called " + o.getString("name"));
                stopped.stop();
                return null;
            case "mqadmin":
                return (JSONObject) Class.forName("Admin").getDeclaredMethod("run", JSONArray.class).invoke(null, o.getJSONArray("words"));
            default:
                Part part = PARTS.get(o.getString("by"));
                if (part == null) throw new IllegalArgumentException("nothing is called " + o.getString("by"));
                return part.act(what, o);
        }
    }

    private static JSONObject started(JSONObject o, Part part) {
        if (PARTS.put(o.getString("name"), part) != null) throw new IllegalArgumentException(o.getString("name") + " is there already");
        return null;
    }

    static JSONObject line(String kind) {
        JSONObject o = new JSONObject(true);
        o.put("kind", kind);
        return o;
    }

    static void print(JSONObject o) {
        String text = JSON.toJSONString(o, SerializerFeature.WriteMapNullValue, SerializerFeature.DisableCircularReferenceDetect);
        synchronized (OUT) {
            OUT.println(text);
            OUT.flush();
        }
    }

    /** The exception and its causes: class, RocketMQ's code, first line. */
    static JSONArray error(Throwable e) {
        JSONArray chain = new JSONArray();
        for (Throwable t = e instanceof java.lang.reflect.InvocationTargetException ? e.getCause() : e; t != null; t = t.getCause()) {
            JSONObject o = new JSONObject(true);
            o.put("type", t.getClass().getSimpleName());
            if (t instanceof MQBrokerException) o.put("code", ((MQBrokerException) t).getResponseCode());
            if (t instanceof MQClientException) o.put("code", ((MQClientException) t).getResponseCode());
            o.put("message", ("" + t.getMessage()).split("\n")[0]);
            chain.add(o);
        }
        return chain;
    }
}
