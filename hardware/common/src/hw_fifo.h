/*
 * A sensor with a FIFO, polled: found, set up, read out, missed and found again.
 *
 * It is there or it is not, and one rule says when it is gone: nothing new has come for half a
 * second. That holds for a wire that is out, a chip that lost its power and forgot its settings,
 * and a bus that hangs. Then every electrode bit is set in the status, no samples are sent, and it
 * is looked for once a second until it can be set up again.
 *
 * Portable C99; the bus belongs to the chip's three functions.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HW_FIFO_H
#define HW_FIFO_H

#include "hw_board.h"
#include "hw_pace.h"

#ifdef __cplusplus
extern "C" {
#endif

#define HW_FIFO_LOOK_US 4000uL    /* between two looks; bounds the error of a sample's time */
#define HW_FIFO_GONE_US 500000uL  /* so long nothing new: the chip is gone */
#define HW_FIFO_RETRY_US 1000000uL

typedef struct {
  /* Is it there, and the right one? Set it up at this rate, FIFO empty; 1 = it samples now. */
  uint8_t (*set_up)(uint32_t rate_mhz);
  /* How many samples wait; *overflowed = 1 where some were lost after them (the FIFO must keep the
   * old ones). 0 = the bus failed. */
  uint8_t (*look)(uint8_t *n, uint8_t *overflowed);
  /* Read up to n of them, as many as one transfer holds, to rows; return how many, 0 = the bus
   * failed and samples are lost. */
  uint8_t (*take)(int32_t *rows, uint8_t n);
  /* The electrode bits while it is there (a finger on or off). NULL: none are ever off. */
  uint8_t (*off)(void);
} hw_fifo_chip;

#define HW_FIFO_ROWS 5u /* rows a transfer at most: Arduino's Wire holds 32 bytes */

typedef struct {
  hw_board *board;
  const hw_fifo_chip *chip;
  uint32_t (*now_us)(void);
  hw_pace pace;
  uint8_t there;      /* set up, and not known to be gone */
  uint8_t silent;     /* gone, and not a sample since */
  uint8_t hole;       /* samples were lost after the last one */
  uint32_t tried_us;  /* when it was last set up, or could not be */
  uint32_t asked_us;  /* when it was last looked at */
  uint32_t heard_us;  /* when a sample last came */
  uint32_t empty_us;  /* what the FIFO holds now was taken after this */
} hw_fifo;

/* board: begun already; now_us: microseconds that wrap at 2^32. */
void hw_fifo_begin(hw_fifo *fifo, hw_board *board, const hw_fifo_chip *chip,
                   uint32_t (*now_us)(void));
/* Do what is due; call it from the main loop, at least every few milliseconds. */
void hw_fifo_run(hw_fifo *fifo);
/* The rate is another one: what waits is handed over, then the chip is set up anew. */
void hw_fifo_change_rate(hw_fifo *fifo, uint32_t rate_mhz);

#ifdef __cplusplus
}
#endif
#endif
