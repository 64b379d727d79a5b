import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import org.apache.rocketmq.common.ConfigManager;
import org.apache.rocketmq.common.protocol.body.TopicConfigSerializeWrapper;
import org.apache.rocketmq.remoting.protocol.RemotingSerializable;
import org.apache.rocketmq.store.schedule.DelayOffsetSerializeWrapper;

/**
 * Lets RocketMQ 4.9's loader and JSON classes load the tables of a directory, and write them again. The broker's module of
 * this line is not published: its class of consumer offsets is repeated here as far as JSON sees it.
 * Arguments: DIR, OUT. OUT gets a line for each table: name, whether it was loaded, what it says.
 */
public final class Tables4 {
    public static class Offsets extends RemotingSerializable {
        private ConcurrentMap<String, ConcurrentMap<Integer, Long>> offsetTable = new ConcurrentHashMap<>(512);

        public ConcurrentMap<String, ConcurrentMap<Integer, Long>> getOffsetTable() {
            return offsetTable;
        }

        public void setOffsetTable(ConcurrentMap<String, ConcurrentMap<Integer, Long>> offsetTable) {
            this.offsetTable = offsetTable;
        }
    }

    static final class Table<T extends RemotingSerializable> extends ConfigManager {
        private final String path;
        private final Class<T> type;
        private T value;

        Table(String path, Class<T> type) throws Exception {
            this.path = path;
            this.type = type;
            this.value = type.getDeclaredConstructor().newInstance();
        }

        @Override
        public String configFilePath() {
            return path;
        }

        @Override
        public void decode(String text) {
            T decoded = RemotingSerializable.fromJson(text, type);
            if (decoded != null) {
                value = decoded;
            }
        }

        @Override
        public String encode() {
            return encode(false);
        }

        @Override
        public String encode(boolean pretty) {
            return value.toJson(pretty);
        }
    }

    public static void main(String[] args) throws Exception {
        Map<String, Class<? extends RemotingSerializable>> types = new TreeMap<>();
        types.put("consumerOffset", Offsets.class);
        types.put("delayOffset", DelayOffsetSerializeWrapper.class);
        types.put("topics", TopicConfigSerializeWrapper.class);
        try (PrintWriter out = new PrintWriter(Files.newBufferedWriter(Path.of(args[1])))) {
            for (Map.Entry<String, Class<? extends RemotingSerializable>> each : types.entrySet()) {
                ConfigManager table = new Table<>(args[0] + "/config/" + each.getKey() + ".json", each.getValue());
                boolean loaded = table.load();
                out.println(each.getKey() + "\t" + loaded + "\t" + table.encode(false));
                table.persist();
            }
        }
        Runtime.getRuntime().halt(0);
    }
}
