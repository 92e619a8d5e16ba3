/*
 * Lines of text in, lines of text out: words, numbers, bytes, descriptions as vectors.txt has them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef CORE_TEXT_H
#define CORE_TEXT_H

#include <stddef.h>

#include "hw_board.h"

#define MOST_WORDS 8192
#define MOST_BYTES 65536u
#define MOST_TEXT 262144u
#define MOST_CHANNELS 40u

typedef struct {
  char *word[MOST_WORDS];
  unsigned n;
} sentence;

extern char answer[MOST_TEXT]; /* to the line in hand */
extern uint8_t bytes[MOST_BYTES];

void give_up(const char *why);

void begin_answer(void);
int has_answer(void);
void say(const char *text);
void say_number(unsigned long value);
void say_bytes(const uint8_t *from, size_t n);

/* Cut a line at its spaces, not at those in quotes; the words stay in the line. */
void cut(char *line, sentence *said);
const char *word(const sentence *said, unsigned at);
unsigned long number(const sentence *said, unsigned at);
/* The bytes in the words from `at` on, into `bytes`: `0A`, `11x254`, `01..FE`. */
uint16_t read_bytes(const sentence *said, unsigned at);
uint8_t number_type(const char *name);
/* RATE DEVICE FIRMWARE, then TYPE GAIN BASELINE SIGNAL LEAD for each channel. */
hw_description read_description(const sentence *said, unsigned at, hw_channel *channels);

/* One line of a board's life: see core_life.c; return 0 where it is none. */
int life(const sentence *said, const char *line);

#endif
