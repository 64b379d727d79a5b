package main

import (
	"context"
	"fmt"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// selector takes the queue that a message names, else that of its key, else one after the other: the client's own three.
type selector struct {
	manual, hash, round producer.QueueSelector
}

func (s selector) Select(m *primitive.Message, queues []*primitive.MessageQueue, last string) *primitive.MessageQueue {
	switch {
	case m.Queue != nil:
		return s.manual.Select(m, queues, last)
	case m.GetShardingKey() != "":
		return s.hash.Select(m, queues, last)
	}
	return s.round.Select(m, queues, last)
}

type producing struct {
	producer rocketmq.Producer
	timeout  time.Duration
}

func newProducing(o request) (part, error) {
	timeout := 10 * time.Second
	if o.TimeoutMs > 0 {
		timeout = time.Duration(o.TimeoutMs) * time.Millisecond
	}
	options := []producer.Option{
		producer.WithGroupName(o.Group), producer.WithInstanceName(o.Name), producer.WithNameServer(nameServer),
		producer.WithSendMsgTimeout(timeout),
		producer.WithQueueSelector(selector{producer.NewManualQueueSelector(), producer.NewHashQueueSelector(), producer.NewRoundRobinQueueSelector()}),
	}
	if o.Retries != nil {
		options = append(options, producer.WithRetry(*o.Retries))
	}
	if o.TopicQueues > 0 {
		options = append(options, producer.WithDefaultTopicQueueNums(o.TopicQueues))
	}
	if o.CompressOver > 0 {
		options = append(options, producer.WithCompressMsgBodyOverHowmuch(o.CompressOver))
	}
	p, err := rocketmq.NewProducer(options...)
	if err != nil {
		return nil, err
	}
	return producing{p, timeout}, p.Start()
}

func (p producing) act(what string, o request) (object, error) {
	if what != "send" {
		return nil, fmt.Errorf("a producer cannot %s", what)
	}
	messages := make([]*primitive.Message, len(o.Messages))
	for i, m := range o.Messages {
		messages[i] = m.message(o.Queue, o.Mode)
	}
	return object{"results": p.send(messages, o.Mode)}, nil
}

func (p producing) send(messages []*primitive.Message, mode string) []object {
	ctx := context.Background()
	results := make([]object, len(messages))
	switch mode {
	case "batch":
		return []object{sent(p.producer.SendSync(ctx, messages...))}
	case "async":
		came := make(chan struct{}, len(messages))
		for i, m := range messages {
			at := i
			callback := func(_ context.Context, r *primitive.SendResult, err error) {
				results[at] = sent(r, err)
				came <- struct{}{}
			}
			if err := p.producer.SendAsync(ctx, callback, m); err != nil {
				callback(ctx, nil, err)
			}
		}
		for range messages {
			select {
			case <-came:
			case <-time.After(time.Minute):
				panic("a callback did not come")
			}
		}
	case "oneway":
		for i, m := range messages {
			results[i] = sent(nil, p.producer.SendOneWay(ctx, m))
		}
	default:
		for i, m := range messages {
			results[i] = sent(p.producer.SendSync(ctx, m))
		}
	}
	return results
}

func (p producing) stop() error {
	return p.producer.Shutdown()
}
