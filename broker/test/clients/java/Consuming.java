import com.alibaba.fastjson.JSONObject;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;

/** A push consumer: prints what comes; messages of some tags fail so many times. */
final class Consuming implements Driver.Part {
    private final DefaultMQPushConsumer consumer;
    private final String name;
    private final JSONObject fail;
    private final String failHow;
    private final int workMs;

    private Consuming(DefaultMQPushConsumer consumer, JSONObject o) {
        this.consumer = consumer;
        this.name = o.getString("name");
        this.fail = o.containsKey("fail") ? o.getJSONObject("fail") : new JSONObject();
        this.failHow = o.containsKey("failHow") ? o.getString("failHow") : "later";
        this.workMs = o.getIntValue("workMs");
    }

    static Consuming start(JSONObject o) throws Exception {
        DefaultMQPushConsumer c = new DefaultMQPushConsumer(o.getString("group"));
        c.setNamesrvAddr(Driver.nameServer);
        c.setInstanceName(o.getString("name"));
        // The route of a new retry topic is found soon, not after half a minute.
        c.setPollNameServerInterval(2000);
        // After each change of its queues this client pulls with a newer version of its subscription, which the broker learns from
        // a heartbeat. One that is due while another is under way is left out, and the next one comes half a minute later; until
        // then every pull is answered SUBSCRIPTION_NOT_LATEST, by Apache's broker as well.
        c.setHeartbeatBrokerInterval(2000);
        c.setConsumeThreadMin(4);
        c.setConsumeThreadMax(4);
        c.setConsumeFromWhere(ConsumeFromWhere.valueOf("CONSUME_FROM_" + (o.containsKey("from") ? o.getString("from") : "FIRST_OFFSET")));
        if (o.containsKey("timestamp")) c.setConsumeTimestamp(o.getString("timestamp"));
        if (o.containsKey("broadcasting")) Models.set(c, o.getBooleanValue("broadcasting"));
        if (o.containsKey("maxReconsumeTimes")) c.setMaxReconsumeTimes(o.getIntValue("maxReconsumeTimes"));
        if (o.containsKey("suspendMs")) c.setSuspendCurrentQueueTimeMillis(o.getLongValue("suspendMs"));
        if (o.containsKey("batch")) c.setConsumeMessageBatchMaxSize(o.getIntValue("batch"));
        if (o.containsKey("pullBatch")) c.setPullBatchSize(o.getIntValue("pullBatch"));
        if (o.containsKey("persistMs")) c.setPersistConsumerOffsetInterval(o.getIntValue("persistMs"));
        for (Object s : o.getJSONArray("subscriptions")) {
            JSONObject subscription = (JSONObject) s;
            if (subscription.containsKey("sql")) c.subscribe(subscription.getString("topic"), org.apache.rocketmq.client.consumer.MessageSelector.bySql(subscription.getString("sql")));
            else c.subscribe(subscription.getString("topic"), subscription.containsKey("expression") ? subscription.getString("expression") : "*");
        }
        Consuming part = new Consuming(c, o);
        if (o.getBooleanValue("orderly")) {
            c.registerMessageListener((MessageListenerOrderly) (messages, context) -> part.ordered(messages));
        } else {
            int level = o.getIntValue("delayLevel");
            c.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
                context.setDelayLevelWhenNextConsume(level);
                return part.taken(messages) ? ConsumeConcurrentlyStatus.CONSUME_SUCCESS : part.failure();
            });
        }
        c.start();
        return part;
    }

    private ConsumeConcurrentlyStatus failure() {
        if (failHow.equals("throw")) throw new IllegalStateException("told to fail");
        return failHow.equals("null") ? null : ConsumeConcurrentlyStatus.RECONSUME_LATER;
    }

    private ConsumeOrderlyStatus ordered(List<MessageExt> messages) {
        return taken(messages) ? ConsumeOrderlyStatus.SUCCESS : ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT;
    }

    private boolean taken(List<MessageExt> messages) {
        boolean good = true;
        for (MessageExt m : messages) if (m.getTags() != null && m.getReconsumeTimes() < fail.getIntValue(m.getTags())) good = false;
        try {
            for (MessageExt m : messages) {
                JSONObject o = Driver.line("message");
                o.put("consumer", name);
                o.put("good", good);
                o.put("of", messages.size());
                o.put("at", System.currentTimeMillis());
                o.put("thread", Thread.currentThread().getName());
                o.put("message", Messages.received(m));
                Driver.print(o);
            }
            if (workMs > 0) Thread.sleep(workMs / 2 + ThreadLocalRandom.current().nextInt(workMs));
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
        return good;
    }

    @Override
    public JSONObject act(String what, JSONObject o) throws Exception {
        JSONObject answer = new JSONObject(true);
        switch (what) {
            case "queues":
                answer.put("queues", Messages.queues(consumer.fetchSubscribeMessageQueues(o.getString("topic"))));
                return answer;
            case "suspend":
                consumer.suspend();
                return answer;
            case "resume":
                consumer.resume();
                return answer;
            default:
                throw new IllegalArgumentException("a push consumer cannot " + what);
        }
    }

    @Override
    public void stop() {
        consumer.shutdown();
    }
}
