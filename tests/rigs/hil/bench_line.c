/*
 * UART 0 of the board, and its bytes' way to the cable and from it.
 *
 * To the reader: bytes are handed over every millisecond of true time. When the terminal's buffer
 * is full, or the reader is further behind than --lag-ms, true time stands still: nothing is lost
 * because a machine is slow. What is sent while nobody has the port open is lost, as on a real
 * line.
 *
 * To the firmware: one byte in the time it takes at the baud rate the reader has set. Where that
 * and the firmware's are more than 4 % apart, bytes are spoilt in both directions.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "bench.h"

#include <time.h>

#include <simavr/avr_uart.h>

#define ROOM 4096u /* a power of two, of each direction's queue */
#define BITS_A_BYTE 10u
#define WAIT_NS 50000L       /* wall time between two looks at a reader that is behind */
#define GIVE_UP_WAITS 20000u /* 2 s or more: it does not read at all, it is not merely slow */
#define MAX_BAUD_OFF 0.04

#define UCSR0A 0xC0
#define UCSR0B 0xC1
#define UBRR0L 0xC4
#define U2X0_BIT 1
#define RXEN0_BIT 4

typedef struct {
  uint8_t bytes[ROOM];
  unsigned in, out;
} byte_queue;

static byte_queue to_reader, to_board;
static avr_irq_t *uart_in;
static uint64_t lag_ns;
static int feeding;               /* a byte is on its way to the board */
static int paused;                /* the UART cannot take more */
static unsigned n_in_frame;       /* bytes sent since the last zero */
static unsigned pull_at;          /* pull the cable behind so many bytes of a frame */
static uint64_t behind_ns;        /* true time of the first byte the reader has not taken */
static uint64_t sent_ns;          /* true time of the last */
static uint64_t gave_up_ns;       /* what the reader had taken when waiting for it was given up */

static unsigned length(const byte_queue *queue)
{
  return queue->in - queue->out;
}

static void put(byte_queue *queue, uint8_t byte)
{
  queue->bytes[queue->in++ % ROOM] = byte;
}

static uint8_t get(byte_queue *queue)
{
  return queue->bytes[queue->out++ % ROOM];
}

static double board_baud(void)
{
  unsigned divisor = bench_avr->data[UBRR0L] | (unsigned)(bench_avr->data[UBRR0L + 1] & 0x0F) << 8;
  unsigned clocks = bench_avr->data[UCSR0A] & 1 << U2X0_BIT ? 8 : 16;
  return (double)BENCH_HZ / clocks / (divisor + 1);
}

static int is_garbled(void)
{
  double reader = cable_baud();
  return reader > 0.0 && (board_baud() / reader > 1.0 + MAX_BAUD_OFF ||
                          board_baud() / reader < 1.0 - MAX_BAUD_OFF);
}

static uint8_t garble(uint8_t byte)
{
  static uint32_t noise = 1;
  noise = noise * 1664525u + 1013904223u;
  bench_shared->n_garbled++;
  return (uint8_t)(byte ^ noise >> 24);
}

/* ---- Board to reader ------------------------------------------------------------------------ */

static void pull(void)
{
  if (!cable_is_plugged()) {
    return;
  }
  cable_pull();
  pull_at = 0;
  to_reader.out = to_reader.in;
  to_board.out = to_board.in;
  behind_ns = 0;
  bench_shared->taken_ns = 0;
}

static void hand_over(void)
{
  while (length(&to_reader) > 0) {
    unsigned from = to_reader.out % ROOM;
    size_t n = length(&to_reader) < ROOM - from ? length(&to_reader) : ROOM - from;
    size_t n_written = cable_write(to_reader.bytes + from, n);
    if (n_written == 0) {
      return;
    }
    to_reader.out += (unsigned)n_written;
    bench_shared->n_sent += n_written;
  }
}

static void give(void)
{
  if (!cable_is_open()) {
    bench_shared->n_unheard += length(&to_reader);
    to_reader.out = to_reader.in;
    behind_ns = 0;
    return;
  }
  hand_over();
}

static void on_byte(avr_irq_t *irq, uint32_t value, void *param)
{
  uint8_t byte = (uint8_t)value;
  (void)irq;
  (void)param;
  if (!cable_is_plugged() || length(&to_reader) == ROOM) {
    bench_shared->n_unheard++; /* the queue is emptied every millisecond: 11 bytes */
    return;
  }
  put(&to_reader, is_garbled() ? garble(byte) : byte);
  sent_ns = bench_now_ns();
  behind_ns = behind_ns ? behind_ns : sent_ns;
  n_in_frame = byte == 0 ? 0 : n_in_frame + 1;
  if (pull_at > 0 && n_in_frame == pull_at) {
    give();
    pull();
  }
}

/* Whether true time must wait: for room in the terminal, or for a reader that is behind. */
static int is_behind(void)
{
  uint64_t taken_ns = bench_shared->taken_ns;
  if (length(&to_reader) > ROOM / 2) {
    return 1;
  }
  if (taken_ns >= sent_ns) {
    behind_ns = 0;
  } else if (behind_ns && taken_ns > behind_ns) {
    behind_ns = taken_ns;
  }
  if (lag_ns == 0 || taken_ns == 0 || taken_ns == gave_up_ns) {
    return 0;
  }
  return behind_ns && bench_now_ns() - behind_ns > lag_ns;
}

/* ---- Reader to board ------------------------------------------------------------------------ */

static avr_cycle_count_t feed(avr_t *avr, avr_cycle_count_t when, void *param);

static void feed_next(void)
{
  double baud = cable_baud();
  if (feeding || paused || length(&to_board) == 0) {
    return;
  }
  feeding = 1;
  avr_cycle_timer_register(
      bench_avr, (avr_cycle_count_t)(BENCH_HZ * BITS_A_BYTE / (baud > 0.0 ? baud : 115200.0)),
      feed, NULL);
}

static avr_cycle_count_t feed(avr_t *avr, avr_cycle_count_t when, void *param)
{
  (void)avr;
  (void)when;
  (void)param;
  feeding = 0;
  if (length(&to_board) > 0) {
    uint8_t byte = get(&to_board);
    if (bench_avr->data[UCSR0B] & 1 << RXEN0_BIT) { /* else it is lost, as on a real board */
      avr_raise_irq(uart_in, is_garbled() ? garble(byte) : byte);
    }
    feed_next();
  }
  return 0;
}

static void on_pause(avr_irq_t *irq, uint32_t value, void *param)
{
  (void)irq;
  (void)param;
  paused = value != 0;
}

static void on_go(avr_irq_t *irq, uint32_t value, void *param)
{
  (void)irq;
  (void)value;
  (void)param;
  paused = 0;
  feed_next();
}

static void take(void)
{
  uint8_t bytes[64];
  size_t n;
  while (ROOM - length(&to_board) >= sizeof bytes && (n = cable_read(bytes, sizeof bytes)) > 0) {
    for (size_t i = 0; i < n; i++) {
      put(&to_board, bytes[i]);
    }
  }
  feed_next();
}

/* ---- Begin, end, and what happens between --------------------------------------------------- */

void line_unplug(unsigned at_byte)
{
  if (at_byte == 0) {
    give();
    pull();
  } else {
    pull_at = at_byte;
  }
}

void line_after_reset(void)
{
  feeding = 0;
  paused = 0;
  n_in_frame = 0;
  to_board.out = to_board.in;
}

void line_work(void)
{
  static const struct timespec pause = {0, WAIT_NS};
  unsigned n_waits = 0;
  take();
  give();
  while (is_behind() && !bench_is_quitting()) {
    if (n_waits == 0) {
      bench_shared->n_stalls++;
    }
    if (++n_waits > GIVE_UP_WAITS && length(&to_reader) <= ROOM / 2) {
      bench_shared->n_gave_up++;
      gave_up_ns = bench_shared->taken_ns;
      return;
    }
    nanosleep(&pause, NULL);
    script_work(); /* so that a command can still pull the cable, or end it all */
    give();
  }
}

void line_begin(double lag_ms)
{
  uint32_t flags = 0; /* no copy on stdout, no sleep where the firmware waits for the line */
  lag_ns = (uint64_t)(lag_ms * 1e6);
  avr_ioctl(bench_avr, AVR_IOCTL_UART_SET_FLAGS('0'), &flags);
  uart_in = avr_io_getirq(bench_avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_INPUT);
  avr_irq_register_notify(
      avr_io_getirq(bench_avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUTPUT), on_byte, NULL);
  avr_irq_register_notify(
      avr_io_getirq(bench_avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUT_XOFF), on_pause, NULL);
  avr_irq_register_notify(
      avr_io_getirq(bench_avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUT_XON), on_go, NULL);
}

void line_end(void)
{
  give();
  pull();
}
