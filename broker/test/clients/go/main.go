// A client that does what standard input says, a JSON object a line, and prints what it sees (../README.md).
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"sync"

	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/rlog"
)

type object = map[string]any

// part is a producer or consumer that was started under a name.
type part interface {
	act(what string, o request) (object, error)
	stop() error
}

type subscription struct {
	Topic      string `json:"topic"`
	Expression string `json:"expression"`
}

type queue struct {
	Topic      string `json:"topic"`
	BrokerName string `json:"brokerName"`
	QueueID    int    `json:"queueId"`
}

type outgoing struct {
	Topic      string            `json:"topic"`
	Tags       string            `json:"tags"`
	Keys       string            `json:"keys"`
	Body       string            `json:"body"`
	BodyTimes  int               `json:"bodyTimes"`
	Flag       int32             `json:"flag"`
	DelayLevel int               `json:"delayLevel"`
	Properties map[string]string `json:"properties"`
}

// request holds the fields of all commands.
type request struct {
	ID                any            `json:"id"`
	Do                string         `json:"do"`
	By                string         `json:"by"`
	Name              string         `json:"name"`
	Group             string         `json:"group"`
	Retries           *int           `json:"retries"`
	TimeoutMs         int            `json:"timeoutMs"`
	TopicQueues       int            `json:"topicQueues"`
	CompressOver      int            `json:"compressOver"`
	Mode              string         `json:"mode"`
	Messages          []outgoing     `json:"messages"`
	Queue             *queue         `json:"queue"`
	Subscriptions     []subscription `json:"subscriptions"`
	Broadcasting      bool           `json:"broadcasting"`
	Orderly           bool           `json:"orderly"`
	From              string         `json:"from"`
	Timestamp         string         `json:"timestamp"`
	Fail              map[string]int `json:"fail"`
	DelayLevel        int            `json:"delayLevel"`
	MaxReconsumeTimes *int32         `json:"maxReconsumeTimes"`
	SuspendMs         int            `json:"suspendMs"`
	Batch             int            `json:"batch"`
	WorkMs            int            `json:"workMs"`
	Offset            int64          `json:"offset"`
	Max               int            `json:"max"`
	Expression        string         `json:"expression"`
	Transactional     bool           `json:"transactional"`
	queue
}

var (
	nameServer primitive.NamesrvAddr
	parts      sync.Map
	printing   sync.Mutex
)

func main() {
	nameServer = primitive.NamesrvAddr{os.Args[1]}
	rlog.SetLogLevel("warn")
	if err := rlog.SetOutputPath(os.Args[2]); err != nil {
		panic(err)
	}
	show(object{"kind": "ready"})
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		var o request
		if err := json.Unmarshal(line, &o); err != nil {
			panic(err)
		}
		go carryOut(o)
	}
}

func carryOut(o request) {
	answer, err := act(o)
	if err != nil {
		show(object{"kind": "failed", "id": o.ID, "error": chain(err)})
		return
	}
	if answer == nil {
		answer = object{}
	}
	answer["kind"] = "done"
	answer["id"] = o.ID
	show(answer)
}

func act(o request) (object, error) {
	switch o.Do {
	case "producer":
		if o.Transactional {
			return started(o.Name, func() (part, error) { return newTransactions(o) })
		}
		return started(o.Name, func() (part, error) { return newProducing(o) })
	case "consumer":
		return started(o.Name, func() (part, error) { return newConsuming(o) })
	case "puller":
		return started(o.Name, func() (part, error) { return newPulling(o) })
	case "stop":
		stopped, ok := parts.LoadAndDelete(o.Name)
		if !ok {
			return nil, fmt.Errorf("nothing is called %s", o.Name)
		}
		return nil, stopped.(part).stop()
	}
	by, ok := parts.Load(o.By)
	if !ok {
		return nil, fmt.Errorf("nothing is called %s", o.By)
	}
	return by.(part).act(o.Do, o)
}

func started(name string, start func() (part, error)) (object, error) {
	made, err := start()
	if err != nil {
		return nil, err
	}
	parts.Store(name, made)
	return nil, nil
}

func show(o object) {
	text, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	printing.Lock()
	defer printing.Unlock()
	os.Stdout.Write(append(text, '\n'))
}

// chain is the error and what it wraps: type, RocketMQ's code, first line.
func chain(err error) []object {
	all := []object{}
	for ; err != nil; err = errors.Unwrap(err) {
		o := object{"type": reflect.TypeOf(err).String(), "message": strings.SplitN(err.Error(), "\n", 2)[0]}
		var broker primitive.MQBrokerErr
		if errors.As(err, &broker) {
			o["code"] = broker.ResponseCode
		}
		all = append(all, o)
	}
	return all
}
