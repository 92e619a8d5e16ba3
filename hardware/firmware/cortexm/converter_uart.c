/*
 * The converter of the emulated machine: a program at the other end of UART1 (tests/rigs/hil).
 *
 * It stands for a converter that a timer triggers and that stores its results by DMA, the way one
 * would build it on a microcontroller that has both: the moment of a conversion is the timer's, and
 * does not depend on when the program gets round to fetching it. So a conversion is named by the
 * number of its tick, and the tick is counted from the free-running timer: an interrupt that comes
 * late asks for all conversions that were due by then.
 *
 * Messages from the board, 8 bytes, numbers little-endian:
 *
 *     '#'  u32 rate in thousandths of a hertz  u16 round  x  ticks count from 0 again
 *     '?'  u32 last tick that was due  u16 late  x           convert all up to here
 *
 * late is how long after the first tick it asks for the interrupt ran, in microseconds: the jitter
 * of a converter that is started by the program. Messages from the converter, 9 bytes, one for each
 * tick in turn:
 *
 *     '#'  u16 round  u32 0  u8 0  x                          what follows is of this round
 *     '!'  u16 low half of the tick  i16 channel 0  i16 channel 1  u8 lead-off bits  x
 *
 * Every '#' of the board begins a round; rows that come before it was echoed belong to the last one
 * (the line may hold some at a change of rate or a restart) and are dropped. x is the exclusive or
 * of the bytes before it. A tick that is not answered within half a second is a row without values:
 * the converter does not answer, but time goes on.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "clock.h"
#include "converter.h"
#include "hw_packet.h"
#include "uart.h"

#define CONVERTER_BAUD 1000000u
#define ASK_BYTES 8u
#define ROW_BYTES 9u
#define US_A_SECOND 1000000u
#define WAIT_US (US_A_SECOND / 2u)
#define LATE_MOST 0xFFFFu

static uint32_t rate;         /* in force, thousandths of a hertz; 0 before the first begin */
static uint32_t period_us;
static uint16_t round_no;
static uint8_t told;          /* the converter was told of this round */
static uint8_t echoed;        /* and knows of it */
static volatile uint32_t due; /* ticks that were asked for */
static volatile uint32_t unanswered; /* times asked since the last row came */
static uint32_t due_us;       /* time of the next one to ask for */
static uint32_t taken;        /* ticks that were taken, or given up */
static uint32_t taken_us;     /* time of the next one to take */
static uint8_t missed;
static uint8_t last_off;      /* electrodes, as far as is known */
static uint8_t row_bytes[ROW_BYTES];
static uint8_t n_row_bytes;

static uint8_t sum(const uint8_t *bytes, uint8_t n)
{
  uint8_t x = 0;
  while (n-- > 0) {
    x = (uint8_t)(x ^ *bytes++);
  }
  return x;
}

/* Return whether there was room on the line. */
static uint8_t ask(uint8_t code, uint32_t number, uint32_t small)
{
  uint8_t message[ASK_BYTES];
  uint8_t i;
  message[0] = code;
  for (i = 0; i < 4; i++) {
    message[1 + i] = (uint8_t)(number >> (8 * i));
  }
  message[5] = (uint8_t)small;
  message[6] = (uint8_t)(small >> 8);
  message[7] = sum(message, ASK_BYTES - 1);
  return uart_offer(&uart1, message, ASK_BYTES);
}

static void tick(void)
{
  uint32_t now_us = clock_us();
  uint32_t late_us = now_us - due_us;
  while ((int32_t)(now_us - due_us) >= 0) {
    due_us += period_us;
    due++;
  }
  unanswered++;
  if (!told) {
    told = ask('#', rate, round_no);
  }
  if (told) {
    /* Where there is no room, the next tick asks for this one too. */
    (void)ask('?', due - 1u, late_us > LATE_MOST ? LATE_MOST : late_us);
  }
}

static uint8_t is_kept(uint32_t rate_mhz)
{
  return rate_mhz == 125000u || rate_mhz == 250000u || rate_mhz == 500000u;
}

uint8_t converter_begin(uint32_t rate_mhz)
{
  if (!is_kept(rate_mhz)) {
    return 0;
  }
  if (rate_mhz == rate) {
    return 1;
  }
  if (rate == 0) {
    uart_begin(&uart1, CONVERTER_BAUD);
  }
  clock_tick(0, tick);
  rate = rate_mhz;
  period_us = US_A_SECOND / (rate_mhz / 1000u);
  due = taken = 0;
  missed = echoed = 0;
  unanswered = 0;
  round_no++;
  told = ask('#', rate, round_no);
  due_us = taken_us = clock_us() + period_us;
  clock_tick(period_us, tick);
  return 1;
}

static uint8_t is_code(uint8_t byte)
{
  return byte == '!' || byte == '#';
}

/* Drop the first byte that waits, and all up to where a message may begin. */
static void look_further(void)
{
  uint8_t at = 1;
  uint8_t i;
  while (at < n_row_bytes && !is_code(row_bytes[at])) {
    at++;
  }
  n_row_bytes = (uint8_t)(n_row_bytes - at);
  for (i = 0; i < n_row_bytes; i++) {
    row_bytes[i] = row_bytes[at + i];
  }
}

/* Collect bytes until they are a message; return whether they are. */
static uint8_t collect(void)
{
  while (uart_waiting(&uart1)) {
    row_bytes[n_row_bytes++] = uart_read(&uart1);
    if (!is_code(row_bytes[0])) {
      n_row_bytes = 0;
    } else if (n_row_bytes == ROW_BYTES) {
      if (sum(row_bytes, ROW_BYTES) == 0) {
        n_row_bytes = 0;
        return 1;
      }
      look_further();
    }
  }
  return 0;
}

static int32_t number(const uint8_t *at)
{
  return (int16_t)(uint16_t)(at[0] | at[1] << 8);
}

static void pass(converter_row *row)
{
  row->clock_us = taken_us;
  row->missed = missed;
  missed = 0;
  taken++;
  taken_us += period_us;
}

/* Fill a row from what was collected; return 0 where it is none of this round, or an old one. */
static uint8_t understand(converter_row *row)
{
  int32_t ahead = (int16_t)((uint32_t)number(row_bytes + 1) - taken);
  if (row_bytes[0] == '#') {
    echoed = (uint16_t)number(row_bytes + 1) == round_no;
    return 0;
  }
  if (!echoed || ahead < 0 || (uint32_t)ahead >= due - taken) {
    return 0;
  }
  if (ahead > 0) {
    taken += (uint32_t)ahead;
    taken_us += (uint32_t)ahead * period_us;
    missed = 1;
  }
  row->counts[0] = number(row_bytes + 3);
  row->counts[1] = number(row_bytes + 5);
  row->lead_off = last_off = row_bytes[7];
  unanswered = 0;
  pass(row);
  return 1;
}

/* Half a second was asked for in vain, and the oldest of it is given up. Both: after a standstill
 * of the whole machine much is due that was asked for only once. */
static uint8_t is_overdue(void)
{
  uint32_t most = WAIT_US / period_us;
  return unanswered > most && due - taken > most;
}

uint8_t converter_take(converter_row *row)
{
  while (collect()) {
    if (understand(row)) {
      return 1;
    }
  }
  if (!is_overdue()) {
    return 0;
  }
  row->counts[0] = row->counts[1] = HW_NONE_I32;
  row->lead_off = last_off;
  pass(row);
  return 1;
}

uint8_t converter_busy(void)
{
  return due != taken;
}
