/*
 * What every Homeward board does, whatever it measures: describe itself, send rows of samples in
 * frames, say when an electrode comes off, take commands. One instance a serial line.
 *
 * The firmware around it has three jobs: take samples in time (a timer or the converter's
 * interrupt), hand them over as rows from its main loop, and write out the bytes it is given.
 *
 *     hw_board_begin(&board, &description, settings ...);
 *     for (;;) {
 *       while (a row is there) hw_board_row(&board, row, clock_us);
 *       while (a byte was received) hw_board_take(&board, byte, clock_us);
 *       hw_board_idle(&board, clock_us);
 *     }
 *
 * Nothing here blocks or allocates; hw_write may block, and the samples that are taken by
 * interrupt meanwhile wait in the firmware's own queue.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HW_BOARD_H
#define HW_BOARD_H

#include "hw_packet.h"

#ifdef __cplusplus
extern "C" {
#endif

#define HW_DESCRIBE_EVERY_US 10000000uL
#define HW_MAX_CHANNELS 4u
#ifndef HW_FRAME_ROOM
#define HW_FRAME_ROOM 200u /* bytes of the longest frame a board sends, its zero included */
#endif

/* Supplied by the firmware: send bytes in their order. */
typedef void (*hw_write)(const uint8_t *bytes, uint16_t n);
/* Supplied by the firmware: sample at this rate from now on; return 0 where it cannot be kept
 * exactly (nothing is changed then). Also called with the rate in force, and while stopped. Rows
 * of the old rate that still wait are handed over first (hw_board_row may be called from here) or
 * dropped. NULL: one rate only. */
typedef uint8_t (*hw_set_rate)(uint32_t rate_mhz);

typedef struct {
  hw_description description;
  hw_write write;
  hw_set_rate set_rate;
  uint8_t rows_a_frame; /* 4 to 25 frames a second */
  uint8_t lead_off;     /* bits as in a status frame */
  uint8_t battery_pct;
  uint8_t stopped;
  uint8_t n_rows;       /* rows in the frame that is being written */
  uint8_t missed;       /* samples since the last row; their number has been skipped */
  uint16_t sequence;    /* of the next samples frame */
  uint32_t described_us;
  uint32_t n_frames_too_long; /* a mistake in the settings; frames that were not sent */
  hw_inbox inbox;
  hw_frame frame;
  uint8_t samples[HW_FRAME_ROOM]; /* the samples frame that is being written */
  uint8_t out[HW_FRAME_ROOM];     /* any other frame */
} hw_board;

/* Begin: sends a zero, the description and the status. */
void hw_board_begin(hw_board *board, const hw_description *description, hw_write write,
                    hw_set_rate set_rate, uint8_t rows_a_frame, uint32_t clock_us);
/* One row: a raw count for each channel (HW_NONE_I32 = no value, whatever the number type), taken
 * at clock_us. Counts beyond the number type are sent as its largest. Nothing while stopped. */
void hw_board_row(hw_board *board, const int32_t *row, uint32_t clock_us);
/* Samples were missed, one or many: the begun frame is sent as it is, so that the next one bears
 * its own time, and one number is skipped, so that the receiver looks how many are missing. May be
 * called for every one of them. */
void hw_board_missed(hw_board *board);
/* Electrodes and battery as they are now: sent where something changed. */
void hw_board_status(hw_board *board, uint8_t lead_off, uint8_t battery_pct, uint32_t clock_us);
/* A byte that was received. */
void hw_board_take(hw_board *board, uint8_t byte, uint32_t clock_us);
/* Description and status now: somebody has begun to listen (Bluetooth), or the firmware changed
 * board->description, for which the begun frame must have been sent: hw_board_missed. */
void hw_board_describe(hw_board *board, uint32_t clock_us);
/* Whatever is due: the description every ten seconds. */
void hw_board_idle(hw_board *board, uint32_t clock_us);

#ifdef __cplusplus
}
#endif
#endif
