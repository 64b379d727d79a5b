/*
 * Preloaded into a process (LD_PRELOAD), makes a disk that does not answer, for as long as a file exists: every sync waits
 * while the file named by MORAINE_STALL_SYNC is there, and what gives files of the log their space ahead of the writer
 * waits while the one named by MORAINE_STALL_PREFILL is. Then all goes on as if nothing had been.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <unistd.h>

static void wait_while_there(const char *variable) {
  const char *gate = getenv(variable);
  while (gate != NULL && access(gate, F_OK) == 0) usleep(1000);
}

static void wait_where_prefilled(void) {
  char name[17] = {0};
  if (prctl(PR_GET_NAME, name) == 0 && strcmp(name, "moraine-prefill") == 0) wait_while_there("MORAINE_STALL_PREFILL");
}

#define NEXT(name, types) ((int (*) types)dlsym(RTLD_NEXT, name))

int fdatasync(int fd) {
  wait_while_there("MORAINE_STALL_SYNC");
  return NEXT("fdatasync", (int))(fd);
}

int fsync(int fd) {
  wait_while_there("MORAINE_STALL_SYNC");
  return NEXT("fsync", (int))(fd);
}

int syncfs(int fd) {
  wait_while_there("MORAINE_STALL_SYNC");
  return NEXT("syncfs", (int))(fd);
}

int msync(void *address, size_t length, int flags) {
  wait_while_there("MORAINE_STALL_SYNC");
  return NEXT("msync", (void *, size_t, int))(address, length, flags);
}

int sync_file_range(int fd, off64_t offset, off64_t bytes, unsigned int flags) {
  wait_while_there("MORAINE_STALL_SYNC");
  return NEXT("sync_file_range", (int, off64_t, off64_t, unsigned int))(fd, offset, bytes, flags);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) {
  wait_where_prefilled();
  return ((ssize_t (*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, "pwrite64"))(fd, bytes, count, offset);
}
