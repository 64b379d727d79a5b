import com.alibaba.fastjson.JSONArray;
import com.alibaba.fastjson.JSONObject;
import java.util.ArrayList;
import java.util.List;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageQueue;

/** The two pull consumers. */
final class Pulling {
    private Pulling() {
    }

    static Driver.Part lite(JSONObject o) throws Exception {
        DefaultLitePullConsumer c = new DefaultLitePullConsumer(o.getString("group"));
        c.setNamesrvAddr(Driver.nameServer);
        c.setInstanceName(o.getString("name"));
        c.setAutoCommit(o.getBooleanValue("autoCommit"));
        if (o.containsKey("broadcasting")) Models.set(c, o.getBooleanValue("broadcasting"));
        c.setConsumeFromWhere(ConsumeFromWhere.valueOf("CONSUME_FROM_" + (o.containsKey("from") ? o.getString("from") : "FIRST_OFFSET")));
        c.setPullBatchSize(o.containsKey("pullBatch") ? o.getIntValue("pullBatch") : 10);
        if (o.containsKey("topic")) c.subscribe(o.getString("topic"), o.containsKey("expression") ? o.getString("expression") : "*");
        c.start();
        if (o.containsKey("assign")) c.assign(list(o.getJSONArray("assign")));
        return new Driver.Part() {
            @Override
            public JSONObject act(String what, JSONObject a) throws Exception {
                JSONObject answer = new JSONObject(true);
                switch (what) {
                    case "poll":
                        answer.put("messages", Messages.received(c.poll(a.getLongValue("timeoutMs"))));
                        return answer;
                    case "seek":
                        if ("begin".equals(a.get("to"))) c.seekToBegin(Messages.queue(a));
                        else if ("end".equals(a.get("to"))) c.seekToEnd(Messages.queue(a));
                        else c.seek(Messages.queue(a), a.getLongValue("to"));
                        return answer;
                    case "commit":
                        c.commitSync();
                        return answer;
                    case "committed":
                        answer.put("offset", c.committed(Messages.queue(a)));
                        return answer;
                    case "byTime":
                        answer.put("offset", c.offsetForTimestamp(Messages.queue(a), a.getLongValue("timestamp")));
                        return answer;
                    case "pause":
                        c.pause(list(a.getJSONArray("queues")));
                        return answer;
                    case "resume":
                        c.resume(list(a.getJSONArray("queues")));
                        return answer;
                    case "queues":
                        answer.put("queues", Messages.queues(c.fetchMessageQueues(a.getString("topic"))));
                        return answer;
                    default:
                        throw new IllegalArgumentException("a lite pull consumer cannot " + what);
                }
            }

            @Override
            public void stop() {
                c.shutdown();
            }
        };
    }

    static Driver.Part plain(JSONObject o) throws Exception {
        DefaultMQPullConsumer c = new DefaultMQPullConsumer(o.getString("group"));
        c.setNamesrvAddr(Driver.nameServer);
        c.setInstanceName(o.getString("name"));
        c.start();
        return new Driver.Part() {
            @Override
            public JSONObject act(String what, JSONObject a) throws Exception {
                JSONObject answer = new JSONObject(true);
                MessageQueue q = Messages.queue(a);
                switch (what) {
                    case "pull": {
                        String expression = a.containsKey("expression") ? a.getString("expression") : "*";
                        int max = a.containsKey("max") ? a.getIntValue("max") : 32;
                        PullResult r = a.getBooleanValue("block") ? c.pullBlockIfNotFound(q, expression, a.getLongValue("offset"), max) : c.pull(q, expression, a.getLongValue("offset"), max);
                        answer.put("status", r.getPullStatus().name());
                        answer.put("nextBeginOffset", r.getNextBeginOffset());
                        answer.put("minOffset", r.getMinOffset());
                        answer.put("maxOffset", r.getMaxOffset());
                        answer.put("messages", Messages.received(r.getMsgFoundList()));
                        return answer;
                    }
                    case "committed":
                        answer.put("offset", c.fetchConsumeOffset(q, true));
                        return answer;
                    case "commit":
                        c.updateConsumeOffset(q, a.getLongValue("offset"));
                        c.getDefaultMQPullConsumerImpl().getOffsetStore().updateConsumeOffsetToBroker(q, a.getLongValue("offset"), false);
                        return answer;
                    default:
                        throw new IllegalArgumentException("a pull consumer cannot " + what);
                }
            }

            @Override
            public void stop() {
                c.shutdown();
            }
        };
    }

    private static List<MessageQueue> list(JSONArray queues) {
        List<MessageQueue> all = new ArrayList<>();
        for (Object q : queues) all.add(Messages.queue((JSONObject) q));
        return all;
    }
}
