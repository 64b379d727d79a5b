import com.alibaba.fastjson.JSONObject;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.HashMap;
import java.util.TreeMap;
import org.apache.rocketmq.remoting.netty.NettyClientConfig;
import org.apache.rocketmq.remoting.netty.NettyRemotingClient;
import org.apache.rocketmq.remoting.protocol.RemotingCommand;

/** One request by code, over RocketMQ's own remoting client. */
final class Raw {
    private static NettyRemotingClient client;

    private Raw() {
    }

    private static synchronized NettyRemotingClient client() {
        if (client == null) {
            client = new NettyRemotingClient(new NettyClientConfig());
            client.start();
        }
        return client;
    }

    static JSONObject ask(JSONObject o) throws Exception {
        RemotingCommand request = RemotingCommand.createRequestCommand(o.getIntValue("code"), null);
        HashMap<String, String> fields = new HashMap<>();
        JSONObject given = o.getJSONObject("fields");
        if (given != null) given.forEach((name, value) -> fields.put(name, String.valueOf(value)));
        request.setExtFields(fields);
        if (o.containsKey("body")) request.setBody(o.getString("body").getBytes(StandardCharsets.UTF_8));
        if (o.containsKey("bytes")) request.setBody(Base64.getDecoder().decode(o.getString("bytes")));
        String address = o.containsKey("address") ? o.getString("address") : Driver.nameServer;
        JSONObject answer = new JSONObject(true);
        if (o.getBooleanValue("oneway")) {
            client().invokeOneway(address, request, 5000);
            return answer;
        }
        RemotingCommand response = client().invokeSync(address, request, 15000);
        answer.put("code", response.getCode());
        answer.put("remark", response.getRemark());
        answer.put("fields", response.getExtFields() == null ? null : new JSONObject(new TreeMap<String, Object>(response.getExtFields())));
        byte[] body = response.getBody();
        answer.put("bodyLength", body == null ? 0 : body.length);
        if (body != null && body.length < 1 << 20) answer.put("body", new String(body, StandardCharsets.UTF_8));
        return answer;
    }
}
