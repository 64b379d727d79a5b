// The workloads by name: each takes a job and answers with figures.
import { besideCold } from "./beside-cold.mjs";
import { fillBytes, readCold, readDevice } from "./cold.mjs";
import { consume } from "./consume.mjs";
import { filtered } from "./filter.mjs";
import { headline } from "./headline.mjs";
import { durableLatency, syncLatency } from "./latency.mjs";
import { manyQueuesOpen, manyQueuesPut } from "./many-queues.mjs";
import { memoryAfter } from "./memory.mjs";
import { append, put } from "./put.mjs";
import { prepare, random, read } from "./read.mjs";
import { fillAndDie, openAndClose, openAndDie } from "./reopen.mjs";
import { device, sustained } from "./sustained.mjs";
import { verifyRocketmq } from "./verify-rocketmq.mjs";
import { wake } from "./wake.mjs";

export const WORKLOADS = {
  put,
  append,
  prepare,
  read,
  random,
  filtered,
  headline,
  consume,
  wake,
  durableLatency,
  syncLatency,
  sustained,
  device,
  fillBytes,
  readCold,
  readDevice,
  besideCold,
  memoryAfter,
  manyQueuesPut,
  manyQueuesOpen,
  fillAndDie,
  openAndDie,
  openAndClose,
  verifyRocketmq,
};
