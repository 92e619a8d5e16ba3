/*
 * ECG by an AD8232 breakout, and a second signal if you like, on an Arduino Uno or Nano.
 *
 * Wiring (AD8232 breakout -> Uno/Nano; drawing: hardware/drawings):
 *
 *     GND    -> GND
 *     3.3V   -> 3.3V      never 5V: the AD8232 takes at most 3.6 V
 *     OUTPUT -> A0
 *     LO+    -> D10       high while an electrode is off
 *     LO-    -> D11
 *     SDN    -> leave it open; low switches the AD8232 off
 *     pulse sensor: its output -> A1 (see SECOND_CHANNEL)
 *
 * Power the board from a battery or an isolated supply only while electrodes are on a person:
 * read hardware/README.md first.
 *
 * How it keeps time: timer 1 ticks 500 times a second, its interrupt starts the conversion of A0,
 * the end of that one starts A1, the end of that one puts the row in a queue. The main loop sends
 * what is in the queue and sleeps. The clock in the frames is the number of ticks times 2,000 us,
 * so nothing the main loop does can shift a sample or its time. A sample of A0 is late by at most
 * the longest interrupt of the serial line and one clock of the converter: 15 us.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#if !defined(__AVR_ATmega328P__) && !defined(__AVR_ATmega328PB__)
#error "This sketch is for the ATmega328P (Uno, Nano, Pro Mini): it uses its timer and converter."
#endif
#include <avr/interrupt.h>
#include <avr/sleep.h>
#include <hw_board.h>

/* ---- Settings ------------------------------------------------------------------------------ */

/* What is on A1: NOTHING, PULSE_SENSOR (analogue, on a finger) or SECOND_AD8232. */
#define NOTHING 0
#define PULSE_SENSOR 1
#define SECOND_AD8232 2
#ifndef SECOND_CHANNEL
#define SECOND_CHANNEL PULSE_SENSOR
#endif

/* Which lead the electrodes make: "II" is right arm to left leg, "I" right arm to left arm. */
#define FIRST_LEAD "II"
#define SECOND_LEAD "I" /* of a second AD8232; must differ from the first */

/* Samples a second after switching on: 125, 250 or 500. */
#ifndef RATE_HZ
#define RATE_HZ 250
#endif

/* The voltage the converter compares with, in millivolts. 5000: the board's own 5 V, which USB
 * gives to a few per cent, and so the height of the ECG is right to a few per cent. Better: a wire
 * from 3.3V to AREF, and then 3300 and REFERENCE_PIN here. Without that wire it must be
 * REFERENCE_5V; with that wire it must not be: the chip would short the two. */
#define REFERENCE_5V _BV(REFS0)
#define REFERENCE_PIN 0
#ifndef REFERENCE
#define REFERENCE REFERENCE_5V
#define REFERENCE_MV 5000.0f
#endif

/* The AD8232's supply; it lets its signal swing about the half of it. */
#define SUPPLY_MV 3300.0f

/* Amplification of the breakout: 100 in the AD8232 (fixed, data sheet), then 1 + 1 Mohm / 100 kohm
 * = 11 by the resistors beside it, as in the data sheet's application circuits that the usual red
 * and purple breakouts copy. Another board: look at those two resistors. */
#define AMPLIFICATION 1100.0f

/* ---- From here on there is nothing to set -------------------------------------------------- */

#define TICK_HZ 500u
#define TICK_US (1000000uL / TICK_HZ)
#define COUNTS 1024.0f
#ifndef QUEUE_LENGTH
#define QUEUE_LENGTH 32u /* rows, a power of two: 64 ms at 500 Hz; writing takes 22 ms at worst */
#endif
#define SETTLED_US 100000uL /* an electrode is on again when it was on for so long */
#define ROWS_A_FRAME 25u /* at most; fewer at low rates, so that there are 10 to 20 frames a second */

#define PIN_LO_PLUS 10
#define PIN_LO_MINUS 11
#define PIN_SECOND_LO_PLUS 8
#define PIN_SECOND_LO_MINUS 9

#define ECG_GAIN (AMPLIFICATION * COUNTS / REFERENCE_MV) /* counts for a millivolt on the skin */
#define ECG_BASELINE (SUPPLY_MV / 2 * COUNTS / REFERENCE_MV)

static const hw_channel CHANNELS[] = {
    {HW_I16, ECG_GAIN, ECG_BASELINE, "ecg_mv", FIRST_LEAD},
#if SECOND_CHANNEL == PULSE_SENSOR
    {HW_I16, 1.0f, 0.0f, "pleth_au", "finger"}, /* counts as they are: it has no unit */
#elif SECOND_CHANNEL == SECOND_AD8232
    {HW_I16, ECG_GAIN, ECG_BASELINE, "ecg_mv", SECOND_LEAD},
#endif
};
enum { N_CHANNELS = sizeof CHANNELS / sizeof CHANNELS[0] };

static const hw_description DESCRIPTION = {RATE_HZ * 1000uL, "AD8232", "ad8232 1.0", CHANNELS,
                                           N_CHANNELS};

struct Row {
  uint32_t clock_us;
  uint8_t after_a_hole; /* rows before this one found no room */
  int16_t counts[N_CHANNELS];
};

static hw_board board;
static Row queue[QUEUE_LENGTH];
static volatile uint8_t queue_in = 0;  /* counts up for ever; only the interrupt writes it */
static volatile uint8_t queue_out = 0; /* likewise; only the main loop writes it */
static volatile uint8_t ticks_a_row = TICK_HZ / RATE_HZ;
static uint32_t tick_us = 0; /* the board's clock; the interrupt's own */
static uint32_t last_us = 0; /* when the row was taken that the main loop saw last */

/* ---- Sampling: interrupts only -------------------------------------------------------------- */

static inline void start_conversion(uint8_t channel)
{
  ADMUX = (uint8_t)(REFERENCE | channel);
  /* On, start, interrupt at the end; 16 MHz / 128 = 125 kHz, which gives all ten bits. */
  ADCSRA = _BV(ADEN) | _BV(ADSC) | _BV(ADIE) | _BV(ADPS2) | _BV(ADPS1) | _BV(ADPS0);
}

ISR(TIMER1_COMPA_vect)
{
  static uint8_t n_ticks = 0;
  tick_us += TICK_US;
  n_ticks++;
  if (n_ticks >= ticks_a_row) {
    n_ticks = 0;
    start_conversion(0);
  }
}

static inline void end_row(const int16_t *counts)
{
  static uint8_t hole = 0;
  Row *row = &queue[queue_in % QUEUE_LENGTH];
  if ((uint8_t)(queue_in - queue_out) >= QUEUE_LENGTH) {
    hole = 1;
    return;
  }
  row->clock_us = tick_us;
  row->after_a_hole = hole;
  for (uint8_t i = 0; i < N_CHANNELS; i++) {
    row->counts[i] = counts[i];
  }
  hole = 0;
  queue_in = (uint8_t)(queue_in + 1);
}

ISR(ADC_vect)
{
  static int16_t counts[N_CHANNELS];
  static uint8_t channel = 0;
  counts[channel] = (int16_t)ADC;
  channel++;
  if (channel < N_CHANNELS) {
    start_conversion(channel);
    return;
  }
  channel = 0;
  end_row(counts);
}

static void begin_sampling()
{
  /* The core's own timers stand still: millis() and PWM are not needed, and an interrupt of theirs
   * would only be in the way. */
  TIMSK0 = 0;
  TCCR0B = 0;
  TCCR2B = 0;
  DIDR0 = _BV(ADC0D) | _BV(ADC1D);
  TCCR1A = 0;
  TCCR1B = _BV(WGM12) | _BV(CS10); /* counts processor clocks up to OCR1A, again and again */
  OCR1A = (uint16_t)(F_CPU / TICK_HZ - 1);
  TCNT1 = 0;
  TIMSK1 = _BV(OCIE1A);
}

/* ---- Electrodes ------------------------------------------------------------------------------ */

static uint8_t electrodes_off()
{
  uint8_t off = digitalRead(PIN_LO_PLUS) || digitalRead(PIN_LO_MINUS) ? 1 : 0;
#if SECOND_CHANNEL == SECOND_AD8232
  if (digitalRead(PIN_SECOND_LO_PLUS) || digitalRead(PIN_SECOND_LO_MINUS)) {
    off = (uint8_t)(off | 2);
  }
#endif
  return off;
}

/* Off is told at once, on only when it stays: a loose electrode comes and goes with the mains. */
static uint8_t settled(uint8_t off, uint32_t clock_us)
{
  static uint8_t told = 0;
  static uint32_t off_us = 0;
  if (off != 0) {
    off_us = clock_us;
    told |= off;
  }
  if (clock_us - off_us >= SETTLED_US) {
    told = off;
  }
  return told;
}

/* ---- Main loop ------------------------------------------------------------------------------- */

/* Waits, asleep, while the 64 bytes that Serial holds are full; sampling goes on meanwhile. */
static void write_line(const uint8_t *bytes, uint16_t n)
{
  while (n-- > 0) {
    while (Serial.availableForWrite() == 0) {
      sleep_cpu(); /* every byte that has been sent wakes the processor */
    }
    Serial.write(*bytes++);
  }
}

/* Send the rows of the queue up to, but not with, number `end`. */
static void send_rows(uint8_t end)
{
  while (queue_out != end) {
    const Row *row = &queue[queue_out % QUEUE_LENGTH];
    int32_t counts[N_CHANNELS];
    for (uint8_t i = 0; i < N_CHANNELS; i++) {
      counts[i] = row->counts[i];
    }
    if (row->after_a_hole) {
      hw_board_missed(&board);
    }
    last_us = row->clock_us;
    hw_board_row(&board, counts, last_us);
    hw_board_status(&board, settled(electrodes_off(), last_us), HW_NO_BATTERY, last_us);
    queue_out = (uint8_t)(queue_out + 1);
  }
}

static uint8_t set_rate(uint32_t rate_mhz)
{
  uint8_t end;
  if (rate_mhz != 125000uL && rate_mhz != 250000uL && rate_mhz != 500000uL) {
    return 0;
  }
  noInterrupts();
  ticks_a_row = (uint8_t)(TICK_HZ * 1000uL / rate_mhz);
  end = queue_in;
  interrupts();
  send_rows(end); /* those of the old rate; what comes after them is of the new one */
  board.rows_a_frame = (uint8_t)(rate_mhz < ROWS_A_FRAME * 10000uL ? rate_mhz / 10000uL
                                                                   : ROWS_A_FRAME);
  return 1;
}

void setup()
{
  /* 16 MHz does not divide to 115,200 exactly: the core sends at 117,647 baud, 2.1 % too fast.
   * A receiver bears 4 %, and USB serial chips are exact, so this is well on the safe side. */
  Serial.begin(115200);
  pinMode(PIN_LO_PLUS, INPUT);
  pinMode(PIN_LO_MINUS, INPUT);
#if SECOND_CHANNEL == SECOND_AD8232
  pinMode(PIN_SECOND_LO_PLUS, INPUT);
  pinMode(PIN_SECOND_LO_MINUS, INPUT);
#endif
  SMCR = _BV(SE); /* sleep is allowed, and idle: timers, converter and serial line go on */
  hw_board_begin(&board, &DESCRIPTION, write_line, set_rate, ROWS_A_FRAME, 0);
  set_rate(RATE_HZ * 1000uL);
  begin_sampling();
}

void loop()
{
  send_rows(queue_in);
  while (Serial.available() > 0) {
    hw_board_take(&board, (uint8_t)Serial.read(), last_us);
  }
  hw_board_idle(&board, last_us);

  /* Sleep unless something came since; nothing can come between sei and sleep. */
  cli();
  if (queue_in == queue_out && Serial.available() == 0) {
    sei();
    sleep_cpu();
  }
  sei();
}
