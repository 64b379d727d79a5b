import com.alibaba.fastjson.JSONArray;
import com.alibaba.fastjson.JSONObject;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.List;
import java.util.TreeMap;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageAccessor;
import org.apache.rocketmq.common.message.MessageClientIDSetter;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Messages and send results as JSON. */
final class Messages {
    private Messages() {
    }

    static Message message(JSONObject o) {
        Message m = new Message(o.getString("topic"), o.getString("tags"), o.getString("keys"), o.getIntValue("flag"), body(o), true);
        if (o.containsKey("delayLevel")) m.setDelayTimeLevel(o.getIntValue("delayLevel"));
        if (o.containsKey("waitStored")) m.setWaitStoreMsgOK(o.getBooleanValue("waitStored"));
        JSONObject properties = o.getJSONObject("properties");
        // Not putUserProperty: a test may name what RocketMQ reserves.
        if (properties != null) properties.forEach((name, value) -> MessageAccessor.putProperty(m, name, (String) value));
        return m;
    }

    private static byte[] body(JSONObject o) {
        String text = o.getString("body");
        int times = o.containsKey("bodyTimes") ? o.getIntValue("bodyTimes") : 1;
        return text.repeat(times).getBytes(StandardCharsets.UTF_8);
    }

    static JSONObject sent(SendResult r) {
        JSONObject o = new JSONObject(true);
        if (r == null) return o;
        o.put("status", r.getSendStatus().name());
        o.put("msgId", r.getMsgId());
        o.put("offsetMsgId", r.getOffsetMsgId());
        if (r.getMessageQueue() != null) {
            o.put("topic", r.getMessageQueue().getTopic());
            o.put("brokerName", r.getMessageQueue().getBrokerName());
            o.put("queueId", r.getMessageQueue().getQueueId());
        }
        o.put("queueOffset", r.getQueueOffset());
        o.put("transactionId", r.getTransactionId());
        o.put("regionId", r.getRegionId());
        o.put("traceOn", r.isTraceOn());
        return o;
    }

    static JSONArray received(List<MessageExt> list) throws Exception {
        JSONArray all = new JSONArray();
        if (list != null) for (MessageExt m : list) all.add(received(m));
        return all;
    }

    static JSONObject received(MessageExt m) throws Exception {
        JSONObject o = new JSONObject(true);
        o.put("topic", m.getTopic());
        o.put("brokerName", m.getBrokerName());
        o.put("queueId", m.getQueueId());
        o.put("queueOffset", m.getQueueOffset());
        o.put("msgId", MessageClientIDSetter.getUniqID(m) == null ? m.getMsgId() : MessageClientIDSetter.getUniqID(m));
        o.put("commitLogOffset", m.getCommitLogOffset());
        o.put("storeSize", m.getStoreSize());
        o.put("tags", m.getTags());
        o.put("keys", m.getKeys());
        o.put("flag", m.getFlag());
        o.put("sysFlag", m.getSysFlag());
        o.put("reconsumeTimes", m.getReconsumeTimes());
        o.put("bornTimestamp", m.getBornTimestamp());
        o.put("storeTimestamp", m.getStoreTimestamp());
        o.put("bornHost", address(m.getBornHost()));
        o.put("storeHost", address(m.getStoreHost()));
        o.put("preparedTransactionOffset", m.getPreparedTransactionOffset());
        o.put("bodyCrc", m.getBodyCRC());
        o.put("properties", new JSONObject(new TreeMap<String, Object>(m.getProperties())));
        byte[] body = m.getBody();
        o.put("bodyLength", body.length);
        o.put("bodySha256", sha256(body));
        if (body.length <= 200) o.put("body", new String(body, StandardCharsets.UTF_8));
        return o;
    }

    static JSONObject queue(MessageQueue q) {
        JSONObject o = new JSONObject(true);
        o.put("topic", q.getTopic());
        o.put("brokerName", q.getBrokerName());
        o.put("queueId", q.getQueueId());
        return o;
    }

    static JSONArray queues(Iterable<MessageQueue> queues) {
        JSONArray all = new JSONArray();
        for (MessageQueue q : queues) all.add(queue(q));
        return all;
    }

    static MessageQueue queue(JSONObject o) {
        return new MessageQueue(o.getString("topic"), o.getString("brokerName"), o.getIntValue("queueId"));
    }

    private static String address(SocketAddress a) {
        return a instanceof InetSocketAddress ? ((InetSocketAddress) a).getAddress().getHostAddress() + ":" + ((InetSocketAddress) a).getPort() : "" + a;
    }

    private static String sha256(byte[] bytes) throws Exception {
        StringBuilder s = new StringBuilder();
        for (byte b : MessageDigest.getInstance("SHA-256").digest(bytes)) s.append(String.format("%02x", b));
        return s.toString();
    }
}
