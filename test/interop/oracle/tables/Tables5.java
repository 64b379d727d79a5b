import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import org.apache.rocketmq.broker.BrokerController;
import org.apache.rocketmq.broker.schedule.ScheduleMessageService;
import org.apache.rocketmq.common.BrokerConfig;
import org.apache.rocketmq.common.ConfigManager;
import org.apache.rocketmq.remoting.netty.NettyClientConfig;
import org.apache.rocketmq.remoting.netty.NettyServerConfig;
import org.apache.rocketmq.store.DefaultMessageStore;
import org.apache.rocketmq.store.config.MessageStoreConfig;
import org.apache.rocketmq.store.stats.BrokerStatsManager;

/**
 * Lets RocketMQ 5's own managers load the tables of a directory, and write them again.
 * Arguments: DIR, OUT, "lmq" or "plain". OUT gets a line for each table: name, whether it was loaded, what it says.
 */
public final class Tables5 {
    public static void main(String[] args) throws Exception {
        MessageStoreConfig config = new MessageStoreConfig();
        config.setStorePathRootDir(args[0]);
        config.setStorePathCommitLog(args[0] + "/commitlog");
        config.setEnableLmq(args[2].equals("lmq"));
        config.setEnableMultiDispatch(args[2].equals("lmq"));
        BrokerConfig brokerConfig = new BrokerConfig();
        BrokerController broker = new BrokerController(brokerConfig, new NettyServerConfig(), new NettyClientConfig(), config);
        // never loaded or started: the delay service asks it where its table is
        broker.setMessageStore(new DefaultMessageStore(config, new BrokerStatsManager("DefaultCluster", false),
            (topic, queueId, offset, tagsCode, time, bits, props) -> { }, brokerConfig,
            broker.getTopicConfigManager().getTopicConfigTable()));
        Map<String, ConfigManager> managers = new TreeMap<>();
        managers.put("consumerOffset", broker.getConsumerOffsetManager());
        managers.put("delayOffset", broker.getScheduleMessageService());
        managers.put("subscriptionGroup", broker.getSubscriptionGroupManager());
        managers.put("topics", broker.getTopicConfigManager());
        try (PrintWriter out = new PrintWriter(Files.newBufferedWriter(Path.of(args[1])))) {
            for (Map.Entry<String, ConfigManager> each : managers.entrySet()) {
                // load() of the delay service would hold its offsets against queues that there are none of
                boolean loaded = each.getValue() instanceof ScheduleMessageService service
                    ? service.loadWhenSyncDelayOffset() : each.getValue().load();
                out.println(each.getKey() + "\t" + loaded + "\t" + each.getValue().encode(false));
                each.getValue().persist();
            }
        }
        Runtime.getRuntime().halt(0);
    }
}
