/*
 * A bench for firmware: an ATmega328P at 16 MHz by simavr, with what it is wired to.
 *
 *     avr_bench FIRMWARE.elf [options]
 *
 *     --clock FILE       share the true time and counts with the test (bench_page in bench.h)
 *     --link PATH        a symbolic link to the port, as udev makes in /dev/serial/by-id
 *     --speed N          so many times real time at most; 1 is the default, 0 as fast as it goes
 *     --lag-ms L         true time waits while the reader is further behind than this
 *     --ppm X            the board's crystal is this much too fast against the true time
 *     --adc A0=FILE@FS   voltage at a pin: 32-bit floats, millivolts, FS a second
 *     --avcc-mv, --aref-mv   reference voltages of the converter; 5000
 *     --pin D10=0        level of a pin from the start on
 *     --chip NAME[:args] a virtual chip, see chip.h
 *     --script FILE      lines "SECONDS COMMAND": commands at true times
 *     --events FILE      a log of 32 bytes each: true ns, cycle, name (8), number (double)
 *     --for S            end at this true time
 *     --await-open       true time begins when somebody opens the port
 *
 * Commands, also on stdin, there with "at SECONDS" before them or without for now:
 *
 *     pin D10 1 | unplug [BYTES] | plug | reset [S] | speed N | chip NAME text | quit
 *
 * `unplug BYTES` pulls the cable behind so many bytes of a frame. The processor goes on: a board
 * that lives on USB also needs `reset`; `reset S` holds it so long, as a boot loader does. The end of stdin and SIGTERM end the bench.
 *
 * Why not simavr's own uart_pty: it has a thread of its own, loses bytes when its 512 are full, and
 * knows no time but the wall clock's. Here the wall clock decides nothing but the pace: bytes, and
 * their times, are the same on a slow machine.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "bench.h"

#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <simavr/sim_elf.h>

#define LOOK_NS 1000000ull  /* true time between two looks at the line, the script and the pace */
#define LATE_NS 50000000ll  /* a pace that is behind by more is taken up anew from here */

avr_t *bench_avr;
bench_page *bench_shared;

static bench_page own_page; /* where nothing is shared */
static double cycle_ns;
static double speed = 1.0;
static uint64_t pace_from_ns, pace_wall_ns;
static uint64_t until_ns = UINT64_MAX;
static uint64_t held_ns; /* the processor stands still until this true time */
static int awaiting;
static volatile sig_atomic_t quitting;
static int exit_code;

uint64_t bench_now_ns(void)
{
  return (uint64_t)((double)bench_avr->cycle * cycle_ns);
}

avr_cycle_count_t bench_cycle_at(uint64_t ns)
{
  return (avr_cycle_count_t)((double)ns / cycle_ns);
}

void bench_say(const char *format, ...)
{
  va_list args;
  va_start(args, format);
  vprintf(format, args);
  va_end(args);
  putchar('\n');
  fflush(stdout);
}

_Noreturn void bench_fail(const char *format, ...)
{
  va_list args;
  fputs("avr_bench: ", stderr);
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  fputc('\n', stderr);
  exit(2);
}

void bench_quit(int code)
{
  quitting = 1;
  exit_code = code;
}

int bench_is_quitting(void)
{
  return quitting;
}

static void on_signal(int number)
{
  (void)number;
  quitting = 1;
}

static uint64_t wall_ns(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * NS_A_S + (uint64_t)now.tv_nsec;
}

void bench_set_speed(double times)
{
  speed = times;
  pace_from_ns = bench_now_ns();
  pace_wall_ns = wall_ns();
}

/* Sleep where true time is ahead of the pace. */
static void keep_pace(void)
{
  if (speed <= 0.0) {
    return;
  }
  uint64_t due_ns = pace_wall_ns + (uint64_t)((double)(bench_now_ns() - pace_from_ns) / speed);
  int64_t ahead_ns = (int64_t)(due_ns - wall_ns());
  if (ahead_ns < -LATE_NS) {
    bench_set_speed(speed);
  }
  if (ahead_ns > 200000) {
    struct timespec pause = {ahead_ns / (int64_t)NS_A_S, ahead_ns % (int64_t)NS_A_S};
    nanosleep(&pause, NULL);
  }
}

/* The processor sleeps in no wall time: the pace is kept in one place only. */
static void sleep_at_once(avr_t *avr, avr_cycle_count_t how_long)
{
  (void)avr;
  (void)how_long;
}

static void log_errors(avr_t *avr, const int level, const char *format, va_list args)
{
  (void)avr;
  if (level <= LOG_ERROR) {
    vfprintf(stderr, format, args);
  }
}

void bench_reset(double hold_s)
{
  /* simavr forgets all timers and levels, and nothing of the time. */
  avr_cycle_count_t cycle = bench_avr->cycle;
  avr_reset(bench_avr);
  bench_avr->cycle = cycle;
  bench_avr->state = cpu_Running;
  bench_shared->n_resets++;
  held_ns = bench_now_ns() + (uint64_t)(hold_s * (double)NS_A_S);
  line_after_reset();
  inputs_after_reset();
}

static void share(const char *path)
{
  int file = open(path, O_RDWR | O_CREAT, 0600);
  if (file < 0 || ftruncate(file, sizeof(bench_page)) < 0) {
    bench_fail("cannot make %s", path);
  }
  bench_shared = mmap(NULL, sizeof(bench_page), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (bench_shared == MAP_FAILED) {
    bench_fail("cannot map %s", path);
  }
  close(file);
}

static void load(const char *path)
{
  static elf_firmware_t firmware;
  if (elf_read_firmware(path, &firmware) != 0) {
    bench_fail("cannot read the firmware %s", path);
  }
  firmware.frequency = BENCH_HZ;
  bench_avr = avr_make_mcu_by_name("atmega328p");
  if (bench_avr == NULL) {
    bench_fail("this simavr has no atmega328p");
  }
  avr_init(bench_avr);
  avr_load_firmware(bench_avr, &firmware);
  bench_avr->frequency = BENCH_HZ;
  bench_avr->log = LOG_ERROR;
  bench_avr->sleep = sleep_at_once;
}

static void await_open(void)
{
  static const struct timespec pause = {0, 1000000}, settling = {0, 20000000};
  while (awaiting && !quitting && !cable_is_open()) {
    nanosleep(&pause, NULL);
    script_work();
  }
  if (awaiting) {
    nanosleep(&settling, NULL); /* who opens a port sets it, and then empties it */
  }
}

/* One instruction, or a sleep; or a millisecond of standing still. */
static void step(void)
{
  int state;
  if (bench_now_ns() < held_ns) {
    bench_avr->cycle += BENCH_HZ / 1000;
    return;
  }
  state = avr_run(bench_avr);
  if (state == cpu_Done || state == cpu_Crashed) {
    bench_say("stopped: the firmware %s", state == cpu_Done ? "has ended" : "has crashed");
    bench_quit(3);
  }
}

static void run(void)
{
  uint64_t look_ns = 0;
  await_open();
  bench_set_speed(speed);
  while (!quitting) {
    uint64_t now_ns;
    step();
    now_ns = bench_now_ns();
    if (now_ns < look_ns) {
      continue;
    }
    look_ns = now_ns + LOOK_NS;
    if (now_ns >= until_ns) {
      quitting = 1;
    }
    bench_shared->now_ns = now_ns;
    line_work();
    script_work();
    keep_pace();
  }
}

enum {
  CLOCK = 1, LINK, SPEED, LAG, PPM, ADC_IN, AVCC, AREF, PIN, CHIP, SCRIPT, EVENTS, FOR, AWAIT
};

static const struct option options[] = {
    {"clock", 1, 0, CLOCK},   {"link", 1, 0, LINK},       {"speed", 1, 0, SPEED},
    {"lag-ms", 1, 0, LAG},    {"ppm", 1, 0, PPM},         {"adc", 1, 0, ADC_IN},
    {"avcc-mv", 1, 0, AVCC},  {"aref-mv", 1, 0, AREF},    {"pin", 1, 0, PIN},
    {"chip", 1, 0, CHIP},     {"script", 1, 0, SCRIPT},   {"events", 1, 0, EVENTS},
    {"for", 1, 0, FOR},       {"await-open", 0, 0, AWAIT}, {0, 0, 0, 0},
};

static void set_pin_at_start(const char *text)
{
  char name[8] = "";
  int level = 0;
  if (sscanf(text, "%7[^=]=%d", name, &level) != 2) {
    bench_fail("--pin %s is not NAME=LEVEL", text);
  }
  inputs_set_pin(name, level);
}

int main(int argc, char **argv)
{
  const char *link = NULL;
  double lag_ms = 0.0, avcc_mv = 5000.0, aref_mv = 5000.0, ppm = 0.0;
  int chosen;
  avr_global_logger_set(log_errors);
  bench_shared = &own_page;
  if (argc < 2) {
    bench_fail("which firmware?");
  }
  load(argv[1]);
  optind = 2;
  while ((chosen = getopt_long(argc, argv, "", options, NULL)) != -1) {
    switch (chosen) {
      case CLOCK: share(optarg); break;
      case LINK: link = optarg; break;
      case SPEED: speed = atof(optarg); break;
      case LAG: lag_ms = atof(optarg); break;
      case PPM: ppm = atof(optarg); break;
      case ADC_IN: inputs_add_adc(optarg); break;
      case AVCC: avcc_mv = atof(optarg); break;
      case AREF: aref_mv = atof(optarg); break;
      case PIN: set_pin_at_start(optarg); break;
      case CHIP: inputs_add_chip(optarg); break;
      case SCRIPT: script_read(optarg); break;
      case EVENTS: inputs_open_events(optarg); break;
      case FOR: until_ns = (uint64_t)(atof(optarg) * (double)NS_A_S); break;
      case AWAIT: awaiting = 1; break;
      default: return 2;
    }
  }
  cycle_ns = 1e9 / (BENCH_HZ * (1.0 + ppm * 1e-6));
  signal(SIGTERM, on_signal);
  signal(SIGINT, on_signal);
  signal(SIGPIPE, SIG_IGN);
  cable_begin(link);
  line_begin(lag_ms);
  inputs_begin(avcc_mv, aref_mv);
  cable_plug();
  bench_say("ready");
  run();
  line_end();
  inputs_end();
  return exit_code;
}
