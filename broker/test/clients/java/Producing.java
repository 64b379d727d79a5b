import com.alibaba.fastjson.JSONArray;
import com.alibaba.fastjson.JSONObject;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.MessageQueueSelector;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** A producer: sends, queries and asks for offsets. */
final class Producing implements Driver.Part {
    private final DefaultMQProducer producer;
    private final int timeoutMs;

    private Producing(DefaultMQProducer producer, int timeoutMs) {
        this.producer = producer;
        this.timeoutMs = timeoutMs;
    }

    static Producing start(JSONObject o) throws Exception {
        DefaultMQProducer p = o.getBooleanValue("transactional") ? transactional(o) : new DefaultMQProducer(o.getString("group"));
        p.setNamesrvAddr(Driver.nameServer);
        p.setInstanceName(o.getString("name"));
        if (o.containsKey("retries")) {
            p.setRetryTimesWhenSendFailed(o.getIntValue("retries"));
            p.setRetryTimesWhenSendAsyncFailed(o.getIntValue("retries"));
        }
        if (o.containsKey("maxMessageSize")) p.setMaxMessageSize(o.getIntValue("maxMessageSize"));
        if (o.containsKey("compressOver")) p.setCompressMsgBodyOverHowmuch(o.getIntValue("compressOver"));
        if (o.containsKey("topicQueues")) p.setDefaultTopicQueueNums(o.getIntValue("topicQueues"));
        if (o.containsKey("vip")) p.setVipChannelEnabled(o.getBooleanValue("vip"));
        if (o.containsKey("pollNameServerMs")) p.setPollNameServerInterval(o.getIntValue("pollNameServerMs"));
        p.start();
        return new Producing(p, o.containsKey("timeoutMs") ? o.getIntValue("timeoutMs") : 10000);
    }

    private static DefaultMQProducer transactional(JSONObject o) {
        TransactionMQProducer p = new TransactionMQProducer(o.getString("group"));
        p.setTransactionListener(new TransactionListener() {
            @Override
            public LocalTransactionState executeLocalTransaction(Message m, Object arg) {
                return LocalTransactionState.COMMIT_MESSAGE;
            }

            @Override
            public LocalTransactionState checkLocalTransaction(MessageExt m) {
                return LocalTransactionState.COMMIT_MESSAGE;
            }
        });
        return p;
    }

    @Override
    public JSONObject act(String what, JSONObject o) throws Exception {
        JSONObject answer = new JSONObject(true);
        String topic = o.getString("topic");
        switch (what) {
            case "send":
                answer.put("results", send(o));
                return answer;
            case "publishQueues":
                answer.put("queues", Messages.queues(producer.fetchPublishMessageQueues(topic)));
                return answer;
            case "offsets": {
                MessageQueue q = Messages.queue(o);
                answer.put("min", producer.minOffset(q));
                answer.put("max", producer.maxOffset(q));
                answer.put("earliestStoreTime", producer.earliestMsgStoreTime(q));
                if (o.containsKey("timestamp")) answer.put("byTime", producer.searchOffset(q, o.getLongValue("timestamp")));
                return answer;
            }
            case "query":
                answer.put("messages", Messages.received(producer.queryMessage(topic, o.getString("key"), 32, o.getLongValue("begin"), o.getLongValue("end")).getMessageList()));
                return answer;
            case "view":
                answer.put("message", Messages.received(topic == null ? producer.viewMessage("", o.getString("msgId")) : producer.viewMessage(topic, o.getString("msgId"))));
                return answer;
            default:
                throw new IllegalArgumentException("a producer cannot " + what);
        }
    }

    private JSONArray send(JSONObject o) throws Exception {
        List<Message> messages = new ArrayList<>();
        for (Object m : o.getJSONArray("messages")) messages.add(Messages.message((JSONObject) m));
        String mode = o.getString("mode");
        JSONArray results = new JSONArray();
        if ("batch".equals(mode)) {
            results.add(attempt(() -> o.containsKey("queue") ? producer.send(messages, Messages.queue(o.getJSONObject("queue")), timeoutMs) : producer.send(messages, timeoutMs)));
            return results;
        }
        if ("async".equals(mode)) return async(messages, o);
        for (Message m : messages) results.add(attempt(() -> one(mode, m, o)));
        return results;
    }

    private SendResult one(String mode, Message m, JSONObject o) throws Exception {
        JSONObject queue = o.getJSONObject("queue");
        switch (mode) {
            case "oneway":
                if (queue == null) producer.sendOneway(m);
                else producer.sendOneway(m, Messages.queue(queue));
                return null;
            case "transaction":
                return producer.sendMessageInTransaction(m, null);
            case "selector": {
                MessageQueueSelector byKey = (queues, message, arg) -> queues.get(Math.floorMod(arg.hashCode(), queues.size()));
                return producer.send(m, byKey, m.getKeys(), timeoutMs);
            }
            default:
                return queue == null ? producer.send(m, timeoutMs) : producer.send(m, Messages.queue(queue), timeoutMs);
        }
    }

    private JSONArray async(List<Message> messages, JSONObject o) throws Exception {
        JSONObject[] results = new JSONObject[messages.size()];
        CountDownLatch left = new CountDownLatch(results.length);
        for (int i = 0; i < results.length; i++) {
            int at = i;
            SendCallback callback = new SendCallback() {
                @Override
                public void onSuccess(SendResult r) {
                    results[at] = Messages.sent(r);
                    left.countDown();
                }

                @Override
                public void onException(Throwable e) {
                    results[at] = failure(e);
                    left.countDown();
                }
            };
            if (o.containsKey("queue")) producer.send(messages.get(i), Messages.queue(o.getJSONObject("queue")), callback, timeoutMs);
            else producer.send(messages.get(i), callback, timeoutMs);
        }
        if (!left.await(60, TimeUnit.SECONDS)) throw new IllegalStateException(left.getCount() + " callbacks did not come");
        JSONArray all = new JSONArray();
        for (JSONObject r : results) all.add(r);
        return all;
    }

    private interface Sending {
        SendResult send() throws Exception;
    }

    private static JSONObject attempt(Sending sending) {
        try {
            return Messages.sent(sending.send());
        } catch (Exception e) {
            return failure(e);
        }
    }

    private static JSONObject failure(Throwable e) {
        JSONObject o = new JSONObject(true);
        o.put("error", Driver.error(e));
        return o;
    }

    @Override
    public void stop() {
        producer.shutdown();
    }
}
