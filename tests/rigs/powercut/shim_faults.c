/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls that fail: HOMEWARD_POWERCUT_FAIL, or powercut_fail() in the running process. One or more,
 * parted by semicolons:
 *
 *   KIND:K:WHAT[:N][@PART]
 *
 * KIND  write sync open rename truncate unlink mkdir read link, or any
 * K     the K-th call of that kind in the watched folder, from 1, counted from when this was set
 * WHAT  EIO ENOSPC EROFS EMFILE EDQUOT; SHORT (half of the bytes, of a write or read; ENOSPC of any
 *       other call); HANG20 (20 s, then it is done)
 * N     so many calls from K on, as from a card that comes back; 0: all from then on; else one
 * PART  only calls whose path holds this; the others are not counted
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim.h"

#define MAX_RULES 8

static const char *const names[N_CALLS] = {"write",  "sync",  "open", "rename", "truncate",
                                           "unlink", "mkdir", "read", "link"};
static const struct {
  const char *name;
  int error;
} errors[] = {{"EIO", EIO},       {"ENOSPC", ENOSPC}, {"EROFS", EROFS},
              {"EMFILE", EMFILE}, {"EDQUOT", EDQUOT}, {"EACCES", EACCES}};

struct rule {
  unsigned calls;
  unsigned long long first, n;
  struct fault fault;
  char part[64];
  _Atomic unsigned long long seen, struck;
};

static struct rule rules[MAX_RULES];
static _Atomic size_t n_rules;
static _Atomic unsigned long long counts[N_CALLS];

static bool read_calls(const char *word, unsigned *calls) {
  size_t i;

  if (strcmp(word, "any") == 0) {
    *calls = (1u << N_CALLS) - 1;
    return true;
  }
  for (i = 0; i < N_CALLS; i++) {
    if (strcmp(word, names[i]) == 0) {
      *calls = 1u << i;
      return true;
    }
  }
  return false;
}

static bool read_fault(const char *word, struct fault *fault) {
  size_t i;

  memset(fault, 0, sizeof *fault);
  if (strcmp(word, "SHORT") == 0) {
    fault->is_short = true;
    return true;
  }
  if (strncmp(word, "HANG", 4) == 0) {
    fault->hang_s = (unsigned)strtoul(word + 4, NULL, 10);
    return fault->hang_s > 0;
  }
  for (i = 0; i < sizeof errors / sizeof errors[0]; i++) {
    if (strcmp(word, errors[i].name) == 0) {
      fault->error = errors[i].error;
      return true;
    }
  }
  return false;
}

static bool read_rule(const char *text, struct rule *rule) {
  char calls[16], what[16];
  const char *part = strchr(text, '@');
  int n;

  rule->n = 1;
  n = sscanf(text, "%15[^:]:%llu:%15[^:@]:%llu", calls, &rule->first, what, &rule->n);
  rule->part[0] = '\0';
  if (part != NULL) {
    (void)snprintf(rule->part, sizeof rule->part, "%s", part + 1);
  }
  atomic_store(&rule->seen, 0);
  atomic_store(&rule->struck, 0);
  return n >= 3 && rule->first > 0 && read_calls(calls, &rule->calls) &&
         read_fault(what, &rule->fault);
}

/* Set what is to fail from now on; "" or NULL: nothing. All counts begin anew. -1: not understood.
 */
int powercut_fail(const char *spec) {
  char text[512];
  char *left = text;
  char *one;
  size_t n = 0;
  size_t i;

  atomic_store(&n_rules, 0);
  for (i = 0; i < N_CALLS; i++) {
    atomic_store(&counts[i], 0);
  }
  if (spec == NULL || spec[0] == '\0') {
    return 0;
  }
  if (strlen(spec) >= sizeof text) {
    return -1;
  }
  strcpy(text, spec);
  while ((one = strsep(&left, ";")) != NULL) {
    if (n >= MAX_RULES || !read_rule(one, &rules[n])) {
      return -1;
    }
    n++;
  }
  atomic_store(&n_rules, n);
  return 0;
}

/* How many calls of each kind there were, in the order of `names`. */
void powercut_counts(unsigned long long out[N_CALLS]) {
  size_t i;

  for (i = 0; i < N_CALLS; i++) {
    out[i] = atomic_load(&counts[i]);
  }
}

/* How many calls were made to fail or hang. */
unsigned long long powercut_struck(void) {
  unsigned long long n = 0;
  size_t i;

  for (i = 0; i < atomic_load(&n_rules); i++) {
    n += atomic_load(&rules[i].struck);
  }
  return n;
}

struct fault strike(enum call call, const char *path) {
  struct fault none = {0, false, 0};
  size_t i;

  atomic_fetch_add(&counts[call], 1);
  for (i = 0; i < atomic_load(&n_rules); i++) {
    struct rule *rule = &rules[i];
    unsigned long long k;

    if ((rule->calls & 1u << call) == 0 ||
        (rule->part[0] != '\0' && (path == NULL || strstr(path, rule->part) == NULL))) {
      continue;
    }
    k = atomic_fetch_add(&rule->seen, 1) + 1;
    if (k >= rule->first && (rule->n == 0 || k < rule->first + rule->n)) {
      atomic_fetch_add(&rule->struck, 1);
      return rule->fault;
    }
  }
  return none;
}

__attribute__((constructor)) static void fail_by_environment(void) {
  const char *spec = getenv("HOMEWARD_POWERCUT_FAIL");

  if (spec != NULL && powercut_fail(spec) != 0) {
    (void)fprintf(stderr, "powercut: what is to fail is not understood: %s\n", spec);
    abort();
  }
}
