/*
 * What takes the samples. A port to another chip or board writes this file's functions anew, with
 * that chip's timer, converter and DMA; nothing else of the firmware knows where rows come from.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef CONVERTER_H
#define CONVERTER_H

#include <stdint.h>

#define CONVERTER_CHANNELS 2u

typedef struct {
  uint32_t clock_us; /* when the conversion was made: the timer's time, not the program's */
  int32_t counts[CONVERTER_CHANNELS]; /* HW_NONE_I32 where there was none */
  uint8_t lead_off;  /* bit 0: the electrode of channel 0 is off, and so on */
  uint8_t missed;    /* rows before this one are lost */
} converter_row;

/* Convert at this rate, in thousandths of a hertz, from now on; rows that wait are dropped. Return
 * 0, and change nothing, where it cannot be kept exactly. */
uint8_t converter_begin(uint32_t rate_mhz);
/* Take the oldest row; return 0 where none waits. */
uint8_t converter_take(converter_row *row);
/* Whether a row waits or is being converted, which is over too soon to sleep meanwhile; asked with
 * interrupts masked. */
uint8_t converter_busy(void);

#endif
