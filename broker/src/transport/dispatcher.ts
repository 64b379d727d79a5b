import type { Log } from "../log.ts";
import { ResponseCode } from "../protocol/codes.ts";
import type { Command, Response } from "../protocol/command.ts";
import { RequestError } from "../protocol/request-error.ts";
import type { Handler, Handlers, Hook, RequestContext } from "./connection.ts";
import { limitedLog } from "./limited-log.ts";

export type { Handler, Handlers, Hook, RequestContext } from "./connection.ts";

export interface DispatcherOptions {
  /** A later handler of a code takes the place of an earlier one. */
  readonly handlers: Handlers;
  readonly before?: readonly Hook[];
  /** Bytes that the body of a request may have, by its code; without it, whatever a frame takes. */
  readonly maxBodyBytes?: (code: number) => number;
  readonly log: Log;
}

type Answer = Response | undefined | Promise<Response | undefined>;

/** Finds the handler of a request. Whatever happens there becomes an answer; nothing is thrown from here. */
export class Dispatcher {
  readonly #handlers: Map<number, Handler>;
  readonly #before: readonly Hook[];
  readonly #maxBodyBytes: (code: number) => number;
  readonly #log: Log;

  constructor({ handlers, before = [], maxBodyBytes = () => Number.POSITIVE_INFINITY, log }: DispatcherOptions) {
    this.#handlers = new Map(handlers);
    this.#before = before;
    this.#maxBodyBytes = maxBodyBytes;
    this.#log = limitedLog(log);
  }

  dispatch(request: Command, context: RequestContext): Answer {
    const handler = this.#handlers.get(request.code);
    if (handler === undefined) return notSupported(request.code);
    const most = this.#maxBodyBytes(request.code);
    if (request.body.length > most) return tooLarge(request, most);
    let answer: Answer;
    try {
      const hooks = this.#runHooks(request, context, 0);
      answer = hooks === undefined ? handler(request, context) : hooks.then(() => handler(request, context));
    } catch (error) {
      return this.#failed(request.code, context, error);
    }
    // A thenable of another make is no Promise, but none of ours returns one.
    return answer instanceof Promise ? this.#settled(answer, request.code, context) : answer;
  }

  /** From hook `from` on; a promise only where one of them has one. */
  #runHooks(request: Command, context: RequestContext, from: number): Promise<void> | undefined {
    for (let index = from; index < this.#before.length; index++) {
      const waiting = this.#before[index]?.(request, context);
      if (waiting !== undefined) return waiting.then(() => this.#runHooks(request, context, index + 1));
    }
    return undefined;
  }

  /** Apart, as it keeps what stands around it: not the request, which its handler may have let go of. */
  #settled(answer: Promise<Response | undefined>, code: number, context: RequestContext): Answer {
    return answer.catch((error: unknown) => this.#failed(code, context, error));
  }

  #failed(code: number, context: RequestContext, error: unknown): Response {
    if (error instanceof RequestError) return { code: error.code, remark: error.message };
    const facts = { err: error, code, connection: context.connection.id };
    this.#log.error(facts, "a request failed");
    return {
      code: ResponseCode.SYSTEM_ERROR,
      remark: error instanceof Error ? `${error.name}, ${error.message}` : String(error),
    };
  }
}

function notSupported(code: number): Response {
  return { code: ResponseCode.REQUEST_CODE_NOT_SUPPORTED, remark: ` request type ${code} not supported` };
}

function tooLarge({ code, body }: Command, most: number): Response {
  const remark = `a request ${code} has a body of at most ${most} bytes, and this one of ${body.length}`;
  return { code: ResponseCode.SYSTEM_ERROR, remark };
}
