/**
 * From the errors of `node:fs` to ours, in the words and numbers of the native engine (native/host/src/errno.rs).
 *
 * Numbers and words are Linux's on every system: a program that asks for `details.errno` gets one answer. Node has numbers of
 * its own on Windows, words of its own everywhere, and no name at all for what libuv does not know.
 */
import { StoreError } from "../errors.ts";

/** Name, number and glibc's words of what file systems give. */
const KNOWN: readonly (readonly [code: string, errno: number, words: string])[] = [
  ["EPERM", 1, "Operation not permitted"],
  ["ENOENT", 2, "No such file or directory"],
  ["ESRCH", 3, "No such process"],
  ["EINTR", 4, "Interrupted system call"],
  ["EIO", 5, "Input/output error"],
  ["ENXIO", 6, "No such device or address"],
  ["E2BIG", 7, "Argument list too long"],
  ["EBADF", 9, "Bad file descriptor"],
  ["EAGAIN", 11, "Resource temporarily unavailable"],
  ["ENOMEM", 12, "Cannot allocate memory"],
  ["EACCES", 13, "Permission denied"],
  ["EFAULT", 14, "Bad address"],
  ["EBUSY", 16, "Device or resource busy"],
  ["EEXIST", 17, "File exists"],
  ["EXDEV", 18, "Invalid cross-device link"],
  ["ENODEV", 19, "No such device"],
  ["ENOTDIR", 20, "Not a directory"],
  ["EISDIR", 21, "Is a directory"],
  ["EINVAL", 22, "Invalid argument"],
  ["ENFILE", 23, "Too many open files in system"],
  ["EMFILE", 24, "Too many open files"],
  ["ENOTTY", 25, "Inappropriate ioctl for device"],
  ["ETXTBSY", 26, "Text file busy"],
  ["EFBIG", 27, "File too large"],
  ["ENOSPC", 28, "No space left on device"],
  ["ESPIPE", 29, "Illegal seek"],
  ["EROFS", 30, "Read-only file system"],
  ["EMLINK", 31, "Too many links"],
  ["EPIPE", 32, "Broken pipe"],
  ["ERANGE", 34, "Numerical result out of range"],
  ["EDEADLK", 35, "Resource deadlock avoided"],
  ["ENAMETOOLONG", 36, "File name too long"],
  ["ENOLCK", 37, "No locks available"],
  ["ENOSYS", 38, "Function not implemented"],
  ["ENOTEMPTY", 39, "Directory not empty"],
  ["ELOOP", 40, "Too many levels of symbolic links"],
  ["ENODATA", 61, "No data available"],
  ["EREMOTE", 66, "Object is remote"],
  ["ENOLINK", 67, "Link has been severed"],
  ["ECOMM", 70, "Communication error on send"],
  ["EPROTO", 71, "Protocol error"],
  ["EBADMSG", 74, "Bad message"],
  ["EOVERFLOW", 75, "Value too large for defined data type"],
  ["EILSEQ", 84, "Invalid or incomplete multibyte or wide character"],
  ["EUSERS", 87, "Too many users"],
  ["ENOTSUP", 95, "Operation not supported"],
  ["ENETDOWN", 100, "Network is down"],
  ["ENETUNREACH", 101, "Network is unreachable"],
  ["ECONNABORTED", 103, "Software caused connection abort"],
  ["ECONNRESET", 104, "Connection reset by peer"],
  ["ENOBUFS", 105, "No buffer space available"],
  ["ENOTCONN", 107, "Transport endpoint is not connected"],
  ["ETIMEDOUT", 110, "Connection timed out"],
  ["ECONNREFUSED", 111, "Connection refused"],
  ["EHOSTDOWN", 112, "Host is down"],
  ["EHOSTUNREACH", 113, "No route to host"],
  ["ESTALE", 116, "Stale file handle"],
  ["EUCLEAN", 117, "Structure needs cleaning"],
  ["EREMOTEIO", 121, "Remote I/O error"],
  ["EDQUOT", 122, "Disk quota exceeded"],
  ["ENOMEDIUM", 123, "No medium found"],
  ["ECANCELED", 125, "Operation canceled"],
  ["ENOKEY", 126, "Required key not available"],
  ["EKEYEXPIRED", 127, "Key has expired"],
  ["EKEYREVOKED", 128, "Key has been revoked"],
];

const NUMBERS: ReadonlyMap<string, number> = new Map([
  ...KNOWN.map(([code, errno]) => [code, errno] as const),
  ["EOPNOTSUPP", 95],
  ["EWOULDBLOCK", 11],
]);
const WORDS: ReadonlyMap<number, string> = new Map(KNOWN.map(([, errno, words]) => [errno, words] as const));

const ENOSPC = 28;
const ENOSYS = 38;
const ELOOP = 40;
const EDQUOT = 122;

/** Linux's number of a failed call: positive, 0 where the error is none of the system's. */
export function errnoOf(error: unknown): number {
  if (typeof error !== "object" || error === null) return 0;
  const { code, errno, message } = error as Partial<NodeJS.ErrnoException>;
  const known = typeof code === "string" ? NUMBERS.get(code) : undefined;
  if (known !== undefined) return known;
  if (typeof errno === "number" && Number.isSafeInteger(errno)) return Math.abs(errno);
  // A runtime that does not have the call.
  if (error instanceof TypeError && /is not a function/.test(error.message)) return ENOSYS;
  // Deno leaves an error that it has no class for as Rust words it.
  const told = typeof message === "string" ? /\(os error (\d{1,5})\)/.exec(message) : null;
  return told === null ? 0 : Number(told[1]);
}

/** glibc's words for a number. */
export function reasonOf(errno: number): string {
  return WORDS.get(errno) ?? `Unknown error ${errno}`;
}

/**
 * The failure of `syscall` on `path` (relative to the store directory where it lies in it): STORE_FULL where there is no room,
 * else STORE_IO. A `StoreError` is returned as it is.
 */
export function ioFailure(error: unknown, syscall: string, path: string): StoreError {
  if (error instanceof StoreError) return error;
  const errno = errnoOf(error);
  return failed(errno, syscall, path, failureWords(error, errno), error);
}

/** Something that is not of the type it has to be, or another failure that no system call has told. */
export function refusedFile(syscall: string, path: string, reason: string): StoreError {
  return failed(0, syscall, path, reason);
}

function failed(errno: number, syscall: string, path: string, reason: string, cause?: unknown): StoreError {
  const code = errno === ENOSPC || errno === EDQUOT ? "STORE_FULL" : "STORE_IO";
  const details = { errno, syscall, path };
  return new StoreError(code, `${syscall} of ${path} failed: ${reason}`, { cause, details });
}

function failureWords(error: unknown, errno: number): string {
  // Where O_NOFOLLOW wants a file.
  if (errno === ELOOP) return "is a symbolic link, want a file";
  const known = WORDS.get(errno);
  if (known !== undefined) return known;
  const told = error instanceof Error ? error.message : String(error);
  return told === "" ? reasonOf(errno) : told;
}
