/*
 * The virtual chips (chip_*.c) beneath the Arduino core of the emulated Cortex-M3: the bench of
 * chip.h once more, and what the chips use of simavr, on a bare machine.
 *
 * A chip shares the processor with the firmware, but nothing else: it is reached through the pins
 * and buses of attached.h only, and its crystal is a timer of its own. So both live in one time,
 * and no answer is ever late because the host was busy. The firmware cannot run while a chip does,
 * which makes it a little slower than it is.
 *
 * QEMU's loader puts what the chip measures into memory, at INPUT_AT: a head (below), and rows of
 * floats. UART1 takes lines, which are commands for the chip ("off 4"), and brings lines: what the
 * chip says that the firmware did wrong, and "lost" for a sample that nobody took in time.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "chip.h"

#include "arm_bench.h"

#include <stdlib.h>
#include <string.h>

#include "attached.h"
#include "mps2.h"
#include "startup.h"
#include "uart.h"

#define NS_A_COUNT 40u /* 25 MHz */
#define ALARM_PRIORITY 0x40u /* between the tick and the serial lines */
#define LINE_BAUD 1000000u
#define N_TIMERS 4
#define LINE_BYTES 40

typedef struct {
  char args[64];
  uint32_t n_rows;
  float values[];
} input_head;
#define INPUT_AT ((const input_head *)0x21000000u)

typedef struct {
  avr_cycle_count_t at;
  avr_cycle_timer_t run; /* NULL: free */
  void *param;
} timer;

int chip_ads1292r_attach(avr_t *avr, const char *args) __attribute__((weak));
int chip_max30102_attach(avr_t *avr, const char *args) __attribute__((weak));
int chip_adxl345_attach(avr_t *avr, const char *args) __attribute__((weak));
void chip_ads1292r_command(avr_t *avr, const char *text) __attribute__((weak));
void chip_max30102_command(avr_t *avr, const char *text) __attribute__((weak));
void chip_adxl345_command(avr_t *avr, const char *text) __attribute__((weak));

static const struct {
  int (*attach)(avr_t *avr, const char *args);
  void (*command)(avr_t *avr, const char *text);
} chips[] = {
    {chip_ads1292r_attach, chip_ads1292r_command},
    {chip_max30102_attach, chip_max30102_command},
    {chip_adxl345_attach, chip_adxl345_command},
};
enum { N_CHIPS = sizeof chips / sizeof chips[0] };

avr_t arm_avr;

static timer timers[N_TIMERS];

void irq_alarm(void);

/* ---- Time ------------------------------------------------------------------------------------ */

static avr_cycle_count_t now(void)
{
  static uint32_t seen;
  static avr_cycle_count_t counts;
  uint32_t before = cpu_mask_more();
  uint32_t counter = ~MPS2_TIMER->value;
  counts += (uint32_t)(counter - seen);
  seen = counter;
  arm_avr.cycle = counts;
  cpu_restore(before);
  return arm_avr.cycle;
}

uint64_t bench_now_ns(void)
{
  return now() * NS_A_COUNT + arm_spi_ns();
}

avr_cycle_count_t bench_cycle_at(uint64_t ns)
{
  (void)now();
  return ns / NS_A_COUNT;
}

static timer *first_timer(void)
{
  timer *first = NULL;
  for (int i = 0; i < N_TIMERS; i++) {
    if (timers[i].run != NULL && (first == NULL || timers[i].at < first->at)) {
      first = &timers[i];
    }
  }
  return first;
}

static void set_alarm(void)
{
  const timer *first = first_timer();
  avr_cycle_count_t at = now();
  MPS2_ALARM->ctrl = 0;
  if (first == NULL) {
    return;
  }
  MPS2_ALARM->value = MPS2_ALARM->reload = first->at > at ? (uint32_t)(first->at - at) : 1u;
  MPS2_ALARM->ctrl = MPS2_ALARM_ON | MPS2_ALARM_IRQ_ON;
}

void avr_cycle_timer_register(avr_t *of, avr_cycle_count_t after, avr_cycle_timer_t run,
                              void *param)
{
  (void)of;
  for (int i = 0; i < N_TIMERS; i++) {
    if (timers[i].run == NULL) {
      timers[i].at = now() + after;
      timers[i].param = param;
      timers[i].run = run;
      set_alarm();
      return;
    }
  }
  startup_broken();
}

void avr_cycle_timer_cancel(avr_t *of, avr_cycle_timer_t run, void *param)
{
  (void)of;
  for (int i = 0; i < N_TIMERS; i++) {
    if (timers[i].run == run && timers[i].param == param) {
      timers[i].run = NULL;
    }
  }
  set_alarm();
}

void irq_alarm(void)
{
  timer *first = first_timer();
  MPS2_ALARM->intclear = 1;
  while (first != NULL && first->at <= now()) {
    timer due = *first;
    avr_cycle_count_t next;
    first->run = NULL;
    next = due.run(&arm_avr, due.at, due.param);
    if (next != 0) {
      avr_cycle_timer_register(&arm_avr, next > now() ? next - now() : 1, due.run, due.param);
    }
    first = first_timer();
  }
  set_alarm();
}

/* ---- Input, arguments, words ----------------------------------------------------------------- */

int bench_input_open(bench_input *input, const char *path, unsigned n_columns, double fs_hz)
{
  (void)path;
  input->values = INPUT_AT->values;
  input->n_rows = INPUT_AT->n_rows;
  input->n_columns = n_columns;
  input->fs_hz = fs_hz;
  return input->n_rows > 0 ? 0 : -1;
}

int bench_arg(const char *args, const char *key, char *out, size_t size)
{
  size_t n_key = strlen(key), n = 0;
  while (args != NULL && *args != 0) {
    if (strncmp(args, key, n_key) == 0 && args[n_key] == '=') {
      for (args += n_key + 1; *args != 0 && *args != ',' && n + 1 < size; args++) {
        out[n++] = *args;
      }
      out[n] = 0;
      return 1;
    }
    args = strchr(args, ',');
    args = args == NULL ? NULL : args + 1;
  }
  out[0] = 0;
  return 0;
}

double bench_arg_number(const char *args, const char *key, double otherwise)
{
  char text[24];
  return bench_arg(args, key, text, sizeof text) ? strtod(text, NULL) : otherwise;
}

void arm_say(const char *text, size_t n)
{
  uint32_t before = cpu_mask_more();
  (void)uart_offer(&uart1, (const uint8_t *)text, (uint16_t)n);
  cpu_restore(before);
}

void bench_event(const char *name, double number)
{
  char line[LINE_BYTES];
  if (strcmp(name, "lost") == 0) {
    arm_say(line, (size_t)snprintf(line, sizeof line, "%s %.0f\n", name, number));
  }
}

void attached_begin(void)
{
  uart_begin(&uart1, LINE_BAUD);
  setvbuf(stderr, NULL, _IONBF, 0);
  NVIC_IPR[MPS2_ALARM_IRQ] = ALARM_PRIORITY;
  NVIC_ISER = 1u << MPS2_ALARM_IRQ;
  for (int i = 0; i < N_CHIPS; i++) {
    if (chips[i].attach != NULL && chips[i].attach(&arm_avr, INPUT_AT->args) != 0) {
      startup_broken();
    }
  }
}

void attached_idle(void)
{
  static char line[LINE_BYTES];
  static size_t n;
  while (uart_waiting(&uart1)) {
    char c = (char)uart_read(&uart1);
    if (c != '\n') {
      line[n] = c;
      n += n + 1 < sizeof line;
      continue;
    }
    line[n] = 0;
    n = 0;
    for (int i = 0; i < N_CHIPS; i++) {
      if (chips[i].command != NULL) {
        uint32_t before = cpu_mask_more();
        chips[i].command(&arm_avr, line);
        cpu_restore(before);
      }
    }
  }
}
