package main

import (
	"context"
	"fmt"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// transactions sends messages that are to be committed at once.
type transactions struct {
	producer rocketmq.TransactionProducer
}

type committing struct{}

func (committing) ExecuteLocalTransaction(*primitive.Message) primitive.LocalTransactionState {
	return primitive.CommitMessageState
}

func (committing) CheckLocalTransaction(*primitive.MessageExt) primitive.LocalTransactionState {
	return primitive.CommitMessageState
}

func newTransactions(o request) (part, error) {
	p, err := rocketmq.NewTransactionProducer(committing{},
		producer.WithGroupName(o.Group), producer.WithInstanceName(o.Name), producer.WithNameServer(nameServer))
	if err != nil {
		return nil, err
	}
	return transactions{p}, p.Start()
}

func (t transactions) act(what string, o request) (object, error) {
	if what != "send" {
		return nil, fmt.Errorf("a producer of transactions cannot %s", what)
	}
	results := make([]object, len(o.Messages))
	for i, m := range o.Messages {
		r, err := t.producer.SendMessageInTransaction(context.Background(), m.message(o.Queue, o.Mode))
		if err != nil {
			results[i] = sent(nil, err)
		} else {
			results[i] = sent(r.SendResult, nil)
		}
	}
	return object{"results": results}, nil
}

func (t transactions) stop() error {
	return t.producer.Shutdown()
}
