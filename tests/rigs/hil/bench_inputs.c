/*
 * What is wired to the board's pins: voltages out of files, levels, virtual chips; and the log.
 *
 * The converter is the ATmega328P's: the code is the voltage over the reference times 1,024,
 * rounded to the nearest (its first step is at half a count), held between 0 and 1,023; the voltage
 * is taken one and a half of its clocks after the start (data sheet, "Prescaling and Conversion
 * Timing"). simavr's own arithmetic cuts millivolts; it is handed codes and does nothing to them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#define _GNU_SOURCE
#include "bench.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <simavr/avr_adc.h>
#include <simavr/avr_ioport.h>

#define N_ADC 8
#define N_PINS 20
#define N_CHIPS 8
#define FULL_SCALE 1024.0
#define LARGEST 1023 /* also the reference simavr is told, so that it hands codes on */
#define ADCSRA 0x7A
#define ADMUX 0x7C

typedef struct {
  uint64_t now_ns;
  uint64_t cycle;
  char name[8];
  double number;
} event;

typedef struct {
  char name[32];
  void (*reset)(avr_t *);
  void (*command)(avr_t *, const char *);
} chip;

static bench_input adc_inputs[N_ADC];
static double avcc, aref;
static signed char levels[N_PINS]; /* 0: nothing is wired, else 1 + level */
static chip chips[N_CHIPS];
static unsigned n_chips;
static FILE *events;

/* ---- Files ---------------------------------------------------------------------------------- */

int bench_input_open(bench_input *input, const char *path, unsigned n_columns, double fs_hz)
{
  struct stat about;
  int file = open(path, O_RDONLY);
  size_t a_row = n_columns * sizeof(float);
  if (file < 0 || fstat(file, &about) < 0 || (size_t)about.st_size < a_row || fs_hz <= 0.0) {
    fprintf(stderr, "avr_bench: %s holds no row of %u numbers\n", path, n_columns);
    return -1;
  }
  input->values = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE, file, 0);
  close(file);
  if (input->values == MAP_FAILED) {
    fprintf(stderr, "avr_bench: cannot map %s\n", path);
    return -1;
  }
  input->n_rows = (size_t)about.st_size / a_row;
  input->n_columns = n_columns;
  input->fs_hz = fs_hz;
  return 0;
}

double bench_input_at(const bench_input *input, unsigned column, uint64_t ns)
{
  double at = (double)ns / (double)NS_A_S * input->fs_hz;
  size_t row = (size_t)at;
  const float *values = input->values + column;
  if (row + 1 >= input->n_rows) {
    return (double)values[(input->n_rows - 1) * input->n_columns];
  }
  double before = (double)values[row * input->n_columns];
  double after = (double)values[(row + 1) * input->n_columns];
  return before + (after - before) * (at - (double)row);
}

int bench_arg(const char *args, const char *key, char *out, size_t size)
{
  size_t n_key = strlen(key);
  out[0] = '\0';
  while (*args != '\0') {
    size_t n = strcspn(args, ",");
    if (n > n_key && strncmp(args, key, n_key) == 0 && args[n_key] == '=') {
      snprintf(out, size, "%.*s", (int)(n - n_key - 1), args + n_key + 1);
      return 1;
    }
    args += n + (args[n] == ',');
  }
  return 0;
}

double bench_arg_number(const char *args, const char *key, double otherwise)
{
  char text[64];
  return bench_arg(args, key, text, sizeof text) ? atof(text) : otherwise;
}

/* ---- The log -------------------------------------------------------------------------------- */

void inputs_open_events(const char *path)
{
  events = fopen(path, "wb");
  if (events == NULL) {
    bench_fail("cannot write %s", path);
  }
}

static void log_at(uint64_t ns, const char *name, double number)
{
  event one = {ns, bench_avr->cycle, "", number};
  if (events != NULL) {
    memcpy(one.name, name, strnlen(name, sizeof one.name));
    fwrite(&one, sizeof one, 1, events);
  }
}

void bench_event(const char *name, double number)
{
  log_at(bench_now_ns(), name, number);
}

/* ---- Voltages ------------------------------------------------------------------------------- */

void inputs_add_adc(const char *text)
{
  unsigned pin = 0;
  double fs_hz = 0.0;
  char path[4096] = "";
  if (sscanf(text, "A%u=%4095[^@]@%lf", &pin, path, &fs_hz) != 3 || pin >= N_ADC ||
      bench_input_open(&adc_inputs[pin], path, 1, fs_hz) != 0) {
    bench_fail("--adc %s is not A0=FILE@FS with a file of 32-bit floats", text);
  }
}

static double reference_mv(void)
{
  switch (bench_avr->data[ADMUX] >> 6) {
    case 0: return aref;
    case 1: return avcc;
    default: return 1100.0;
  }
}

static void on_conversion(avr_irq_t *irq, uint32_t value, void *param)
{
  union { uint32_t number; avr_adc_mux_t mux; } start = {.number = value};
  unsigned pin = start.mux.src;
  unsigned prescaler = bench_avr->data[ADCSRA] & 7;
  avr_cycle_count_t clocks = (avr_cycle_count_t)1 << (prescaler ? prescaler : 1);
  uint64_t held_ns = bench_now_ns() + (uint64_t)((double)(clocks * 3 / 2) * 1e9 / BENCH_HZ);
  char name[8] = {'a', 'd', 'c', (char)('0' + pin)};
  (void)irq;
  (void)param;
  if (start.mux.kind != ADC_MUX_SINGLE || pin >= N_ADC) {
    return;
  }
  double mv = adc_inputs[pin].values ? bench_input_at(&adc_inputs[pin], 0, held_ns) : 0.0;
  double code = floor(mv / reference_mv() * FULL_SCALE + 0.5);
  code = code < 0.0 ? 0.0 : code > LARGEST ? LARGEST : code;
  avr_raise_irq(avr_io_getirq(bench_avr, AVR_IOCTL_ADC_GETIRQ, ADC_IRQ_ADC0 + pin),
                (uint32_t)code);
  log_at(held_ns, name, mv);
}

/* ---- Levels --------------------------------------------------------------------------------- */

/* Number of a pin as on the board: D0 to D13, A0 to A5 are 14 to 19. */
static unsigned pin_number(const char *name)
{
  unsigned number = (unsigned)atoi(name + 1) + (name[0] == 'A' ? 14 : 0);
  if ((name[0] != 'D' && name[0] != 'A') || number >= N_PINS) {
    bench_fail("the board has no pin %s", name);
  }
  return number;
}

static void drive(unsigned pin)
{
  char port = pin < 8 ? 'D' : pin < 14 ? 'B' : 'C';
  unsigned bit = pin < 8 ? pin : pin < 14 ? pin - 8 : pin - 14;
  if (levels[pin] != 0) {
    avr_raise_irq(avr_io_getirq(bench_avr, AVR_IOCTL_IOPORT_GETIRQ(port), (int)bit),
                  (uint32_t)(levels[pin] - 1));
  }
}

void inputs_set_pin(const char *name, int level)
{
  unsigned pin = pin_number(name);
  levels[pin] = level ? 2 : 1;
  drive(pin);
}

/* ---- Chips ---------------------------------------------------------------------------------- */

static void *chip_function(const char *name, const char *what)
{
  char symbol[64];
  snprintf(symbol, sizeof symbol, "chip_%s_%s", name, what);
  return dlsym(RTLD_DEFAULT, symbol);
}

void inputs_add_chip(const char *text)
{
  chip *one = &chips[n_chips];
  const char *colon = strchr(text, ':');
  int (*attach)(avr_t *, const char *);
  if (n_chips == N_CHIPS) {
    bench_fail("more than %d chips", N_CHIPS);
  }
  snprintf(one->name, sizeof one->name, "%.*s",
           colon ? (int)(colon - text) : (int)strlen(text), text);
  attach = (int (*)(avr_t *, const char *))chip_function(one->name, "attach");
  one->reset = (void (*)(avr_t *))chip_function(one->name, "reset");
  one->command = (void (*)(avr_t *, const char *))chip_function(one->name, "command");
  if (attach == NULL || attach(bench_avr, colon ? colon + 1 : "") != 0) {
    bench_fail("no chip %s, or it does not take these arguments", text);
  }
  n_chips++;
}

int inputs_chip_command(const char *name, const char *text)
{
  for (unsigned i = 0; i < n_chips; i++) {
    if (strcmp(chips[i].name, name) == 0 && chips[i].command != NULL) {
      chips[i].command(bench_avr, text);
      return 0;
    }
  }
  return -1;
}

/* ---- Begin and end -------------------------------------------------------------------------- */

static void wire(void)
{
  avr_irq_t *started = avr_io_getirq(bench_avr, AVR_IOCTL_ADC_GETIRQ, ADC_IRQ_OUT_TRIGGER);
  bench_avr->vcc = bench_avr->avcc = bench_avr->aref = LARGEST;
  avr_irq_unregister_notify(started, on_conversion, NULL); /* it may be there from before */
  avr_irq_register_notify(started, on_conversion, NULL);
  for (unsigned pin = 0; pin < N_PINS; pin++) {
    drive(pin);
  }
}

void inputs_begin(double avcc_mv, double aref_mv)
{
  avcc = avcc_mv;
  aref = aref_mv;
  wire();
}

void inputs_after_reset(void)
{
  wire();
  for (unsigned i = 0; i < n_chips; i++) {
    if (chips[i].reset != NULL) {
      chips[i].reset(bench_avr);
    }
  }
}

void inputs_end(void)
{
  if (events != NULL) {
    fclose(events);
  }
}
