package main

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/apache/rocketmq-client-go/v2/primitive"
)

func (o outgoing) message(to *queue, mode string) *primitive.Message {
	times := o.BodyTimes
	if times == 0 {
		times = 1
	}
	m := primitive.NewMessage(o.Topic, []byte(strings.Repeat(o.Body, times)))
	m.Flag = o.Flag
	if o.Properties != nil {
		m.WithProperties(o.Properties)
	}
	if o.Tags != "" {
		m.WithTag(o.Tags)
	}
	if o.Keys != "" {
		m.WithKeys(strings.Split(o.Keys, " "))
	}
	if o.DelayLevel > 0 {
		m.WithDelayTimeLevel(o.DelayLevel)
	}
	if to != nil {
		m.Queue = to.message()
	}
	if mode == "selector" {
		m.WithShardingKey(o.Keys)
	}
	return m
}

func (q queue) message() *primitive.MessageQueue {
	return &primitive.MessageQueue{Topic: q.Topic, BrokerName: q.BrokerName, QueueId: q.QueueID}
}

var statuses = []string{"SEND_OK", "FLUSH_DISK_TIMEOUT", "FLUSH_SLAVE_TIMEOUT", "SLAVE_NOT_AVAILABLE", "UNKNOWN_ERROR"}

func sent(r *primitive.SendResult, err error) object {
	if err != nil {
		return object{"error": chain(err)}
	}
	if r == nil {
		return object{}
	}
	o := object{
		"status": statuses[r.Status], "msgId": r.MsgID, "offsetMsgId": r.OffsetMsgID, "queueOffset": r.QueueOffset,
		"transactionId": r.TransactionID, "regionId": r.RegionID, "traceOn": r.TraceOn,
	}
	if r.MessageQueue != nil {
		o["topic"], o["brokerName"], o["queueId"] = r.MessageQueue.Topic, r.MessageQueue.BrokerName, r.MessageQueue.QueueId
	}
	return o
}

func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func received(m *primitive.MessageExt) object {
	digest := sha256.Sum256(m.Body)
	id := m.GetProperty(primitive.PropertyUniqueClientMessageIdKeyIndex)
	if id == "" {
		id = m.MsgId
	}
	o := object{
		"topic": m.Topic, "queueOffset": m.QueueOffset, "msgId": id, "offsetMsgId": m.OffsetMsgId,
		"commitLogOffset": m.CommitLogOffset, "storeSize": m.StoreSize, "tags": text(m.GetTags()), "keys": text(m.GetKeys()),
		"flag": m.Flag, "sysFlag": m.SysFlag, "reconsumeTimes": m.ReconsumeTimes, "bornTimestamp": m.BornTimestamp,
		"storeTimestamp": m.StoreTimestamp, "bornHost": m.BornHost, "storeHost": m.StoreHost,
		"preparedTransactionOffset": m.PreparedTransactionOffset, "bodyCrc": m.BodyCRC, "properties": m.GetProperties(),
		"bodyLength": len(m.Body), "bodySha256": hex.EncodeToString(digest[:]),
	}
	if m.Queue != nil {
		o["queueId"], o["brokerName"] = m.Queue.QueueId, m.Queue.BrokerName
	}
	if len(m.Body) <= 200 {
		o["body"] = string(m.Body)
	}
	return o
}
