/*
 * An ECG board with two channels on a Cortex-M3: 250 rows a second, by command also 125 or 500.
 *
 * The converter's timer sets the pace; the program sleeps in between and only hands on what was
 * converted. 25 rows make a frame: 5 to 20 frames a second.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "clock.h"
#include "converter.h"
#include "hw_board.h"
#include "mps2.h"
#include "startup.h"
#include "uart.h"

#define BAUD 115200u
#define ROWS_A_FRAME 25u
#define RATE_MHZ 250000u
#define COUNTS_A_MV 1000.0f

static hw_board board;

static void send(const uint8_t *bytes, uint16_t n)
{
  uart_write(&uart0, bytes, n);
}

static void hand_on(const converter_row *row)
{
  if (row->missed) {
    hw_board_missed(&board);
  }
  hw_board_status(&board, row->lead_off, HW_NO_BATTERY, row->clock_us);
  hw_board_row(&board, row->counts, row->clock_us);
}

static void sleep_until_needed(void)
{
  cpu_mask();
  /* Masked, so that what comes between the look and the sleep wakes at once. */
  if (!converter_busy() && !uart_waiting(&uart0)) {
    cpu_sleep();
  }
  cpu_unmask();
}

int main(void)
{
  static const hw_channel channels[] = {
      {HW_I16, COUNTS_A_MV, 0, "ecg_mv", "I"},
      {HW_I16, COUNTS_A_MV, 0, "ecg_mv", "II"},
  };
  static char firmware[STARTUP_NAME_BYTES];
  static const hw_description description = {RATE_MHZ, "Homeward ECG (Cortex-M)", firmware,
                                             channels, CONVERTER_CHANNELS};
  converter_row row;

  startup_name(firmware, "1.0");
  uart_begin(&uart0, BAUD);
  hw_board_begin(&board, &description, send, converter_begin, ROWS_A_FRAME, clock_us());
  if (!converter_begin(RATE_MHZ)) {
    startup_broken();
  }
  for (;;) {
    while (converter_take(&row)) {
      hand_on(&row);
    }
    while (uart_waiting(&uart0)) {
      hw_board_take(&board, uart_read(&uart0), clock_us());
    }
    hw_board_idle(&board, clock_us());
    if (board.n_frames_too_long > 0) {
      startup_broken();
    }
    startup_alive();
    sleep_until_needed();
  }
}
