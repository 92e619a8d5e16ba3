/*
 * ECG and respiration, or two ECG leads, by an ADS1292R breakout on any Arduino with SPI: Uno,
 * Nano, Due, Zero, Pico ...
 *
 * Wiring (ProtoCentral breakout and its like -> board; drawing: hardware/drawings):
 *
 *     VCC, GND  -> as the breakout says; the chip's logic takes 3.3 V at most. On a 5 V board use a
 *                  breakout with level shifters
 *     DRDY      -> 2      a pin with an interrupt (Uno and Nano: 2 or 3)
 *     START     -> 5
 *     PWDN/RST  -> 4
 *     CS        -> 10
 *     MOSI, MISO, SCK -> the board's SPI (Uno and Nano: 11, 12, 13)
 *
 * Power the board from a battery or an isolated supply only while electrodes are on a person: read
 * hardware/README.md first.
 *
 * The chip has two converters, and its respiration circuit takes the first of them for itself
 * ("channel 1 with respiration enabled mode cannot be used to acquire ECG signals"). So it is one
 * ECG lead and respiration, or two ECG leads: see CHANNEL_1.
 *
 * How it keeps time: the chip converts by a clock of its own and pulls DRDY low for each
 * conversion; the interrupt notes the board's time and counts. The main loop reads the chip at
 * least every 1.4 ms, also while it writes a frame, and puts rows in a queue. A conversion that was
 * not read before the next one is missing in the count, and that is told.
 *
 * Conversions are read by command (RDATA) and not continuously (RDATAC). A read by command may
 * overlap the next conversion without being spoilt by it. And a chip that lost its settings in a
 * dip of the supply is found out by the first read: it is in continuous mode then, its answer comes
 * a byte early, and the status word does not begin with 1100. After its last byte the chip sends
 * its first again: where that is the same, it was there all the time.
 *
 * Registers, commands and waits: chip.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
/* The AVR core's header has what our strict flags refuse in our own code. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wpedantic"
#include <SPI.h>
#pragma GCC diagnostic pop
#include <hw_arduino.h>
#include <hw_board.h>

/* ---- Settings -------------------------------------------------------------------------------- */

#define RESPIRATION 0
#define SECOND_ECG 1
#ifndef CHANNEL_1
#define CHANNEL_1 RESPIRATION
#endif

/* Which leads the electrodes make. Channel 2 is the ECG of both variants: right arm on IN2N, left
 * arm on IN2P is lead I. */
#define LEAD_2 "I"
#define LEAD_1 "II" /* of SECOND_ECG: right arm on IN1N, left leg on IN1P */

/* Samples a second after switching on: 125, 250 or 500. */
#define RATE_HZ 250

#define PIN_DRDY 2
#define PIN_RESET 4
#define PIN_START 5
#define PIN_CS 10

/* ---- From here on there is nothing to set ---------------------------------------------------- */

/* The flow at power-up: 1 s after power; then the reference has to settle. */
#define POWER_UP_MS 1000u
#define REFERENCE_MS 150u
#define GONE_MS 500u /* so long no good conversion: the chip is gone */

#define QUEUE_LENGTH 16u /* rows, a power of two: 32 ms at 500 Hz, a description takes 12 ms */
#define CHUNK 16u        /* bytes that are written between two looks at DRDY: 1.4 ms at 115,200 */
#define ROWS_A_FRAME 20u /* 6 to 25 frames a second */
#define BOTH 0x03u

#include "chip.h"

static const hw_channel CHANNELS[] = {
    {HW_I32, COUNTS_A_MV(6), 0.0f, "ecg_mv", LEAD_2},
#if CHANNEL_1 == SECOND_ECG
    {HW_I32, COUNTS_A_MV(6), 0.0f, "ecg_mv", LEAD_1},
#else
    /* The demodulated impedance in millivolts at the electrodes; ohms would need their current. */
    {HW_I32, COUNTS_A_MV(4), 0.0f, "resp_au", ""},
#endif
};
static const hw_description DESCRIPTION = {RATE_HZ * 1000uL, "ADS1292R", "ads1292r 1.0", CHANNELS,
                                           2};

/* Written in this order, and read back. CONFIG1 holds the rate and is not in it. */
struct Setting {
  uint8_t reg;
  uint8_t value;
};
static const Setting SETTINGS[] = {
    {CONFIG2, CONFIG2_REFERENCE | CONFIG2_LEAD_OFF},
    {LOFF, LOFF_6_NA_DC},
    {CH2SET, GAIN_6},
    {RLD_SENS, RLD_FROM_CHANNEL_2},
    {RESP2, RESP2_32_KHZ},
#if CHANNEL_1 == SECOND_ECG
    {CH1SET, GAIN_6},
    {LOFF_SENS, IN1P_OFF | IN1N_OFF | IN2P_OFF | IN2N_OFF},
    {RESP1, RESP1_OFF},
#else
    {CH1SET, GAIN_4},
    /* Channel 1 is coupled by capacitors, through which no direct current finds an electrode off;
     * it shares the two electrodes of channel 2. */
    {LOFF_SENS, IN2P_OFF | IN2N_OFF},
    {RESP1, RESP1_ON},
#endif
};
enum { N_SETTINGS = sizeof SETTINGS / sizeof SETTINGS[0] };

struct Row {
  uint32_t clock_us;
  int32_t counts[2];
  uint8_t after_a_hole; /* conversions before this one were not read */
  uint8_t off;
};

enum Stage { LOOKING, SEEN, SETTLING, RUNNING };

static hw_board board;
static Row queue[QUEUE_LENGTH];
static uint8_t queue_in = 0;
static uint8_t queue_out = 0;

static volatile uint32_t drdy_us = 0; /* time of the last conversion: the interrupt's */
static volatile uint8_t drdy_count = 0;

static Stage stage = LOOKING;
static uint32_t due_ms = POWER_UP_MS;
static uint32_t heard_ms = 0;
static uint8_t silent = 1; /* gone, or not there yet */
static uint8_t off = 0;    /* electrode bits of the last row */
static uint8_t seen = 0;   /* drdy_count at the last conversion that was read */
static uint8_t hole = 0;   /* conversions since then were not read, or not good */
static uint32_t rate_mhz_now = RATE_HZ * 1000uL;

static void note_conversion()
{
  drdy_us = hw_now_us();
  drdy_count = (uint8_t)(drdy_count + 1);
}

/* ---- The way to a chip that runs ------------------------------------------------------------- */

/* A reset, and no data unasked: registers can be read. 1 = the right chip answers. */
static uint8_t find_chip()
{
  digitalWrite(PIN_START, LOW);
  digitalWrite(PIN_RESET, LOW);
  hw_wait_us(RESET_US);
  digitalWrite(PIN_RESET, HIGH);
  hw_wait_us(RESTART_US);
  send_command(SDATAC);
  return read_register(ID) == THIS_PART;
}

static void forget_conversions()
{
  noInterrupts();
  seen = drdy_count;
  interrupts();
  hole = 0;
}

/* Everything but the reference, which has settled; 1 = conversions come from now on. */
static uint8_t start_chip()
{
  if (!set_register(CONFIG1, rate_code(rate_mhz_now))) {
    return 0;
  }
  for (uint8_t i = 0; i < N_SETTINGS; i++) {
    if (!set_register(SETTINGS[i].reg, SETTINGS[i].value)) {
      return 0;
    }
  }
  forget_conversions();
  digitalWrite(PIN_START, HIGH);
  heard_ms = millis();
  return 1;
}

static void look_again()
{
  if (stage == RUNNING) {
    hw_board_missed(&board);
  }
  stage = LOOKING;
  due_ms = millis() + POWER_UP_MS;
  silent = 1;
}

/* The way from a chip that may be there to one that runs; no wait of it stops the loop. */
static void advance_stage()
{
  uint32_t now_ms = millis();
  if (stage == RUNNING) {
    if (now_ms - heard_ms >= GONE_MS) {
      look_again();
    }
    return;
  }
  if ((int32_t)(now_ms - due_ms) < 0) {
    return;
  }
  if (stage == LOOKING) {
    /* Nobody knows when its power came: once it answers, it is given the time it needs. */
    if (!find_chip()) {
      look_again();
      return;
    }
    stage = SEEN;
    due_ms = now_ms + POWER_UP_MS;
  } else if (stage == SEEN) {
    if (!find_chip() || !set_register(CONFIG2, CONFIG2_REFERENCE)) {
      look_again();
      return;
    }
    stage = SETTLING;
    due_ms = now_ms + REFERENCE_MS;
  } else if (start_chip()) {
    stage = RUNNING;
  } else {
    look_again();
  }
}

/* ---- Conversions ----------------------------------------------------------------------------- */

static void keep_row(const uint8_t *bytes, uint32_t clock_us)
{
  Row *row = &queue[queue_in % QUEUE_LENGTH];
  if ((uint8_t)(queue_in - queue_out) >= QUEUE_LENGTH) {
    hole = 1;
    return;
  }
  row->clock_us = clock_us;
  row->counts[0] = count_of(&bytes[6]);
  row->counts[1] = count_of(&bytes[3]);
  row->off = off_of(bytes);
  row->after_a_hole = hole;
  hole = 0;
  queue_in = (uint8_t)(queue_in + 1);
}

/* Read the conversion that is there, if there is one. Short, and called from everywhere. */
static void collect()
{
  uint8_t bytes[FRAME_BYTES], count;
  uint32_t clock_us;
  noInterrupts();
  count = drdy_count;
  clock_us = drdy_us;
  interrupts();
  if (stage != RUNNING || count == seen) {
    return;
  }
  begin_transfer();
  SPI.transfer(RDATA);
  if (drdy_count != count) {
    end_transfer();
    return; /* the next one came just now, and nobody knows which of them this is: begin again */
  }
  for (uint8_t i = 0; i < FRAME_BYTES; i++) {
    bytes[i] = SPI.transfer(0);
  }
  end_transfer();
  if ((uint8_t)(count - seen) != 1 || !is_good(bytes)) {
    hole = 1;
  }
  seen = count;
  if (!is_good(bytes)) {
    return;
  }
  heard_ms = millis();
  keep_row(bytes, clock_us);
}

/* ---- Main loop ------------------------------------------------------------------------------- */

static void write_line(const uint8_t *bytes, uint16_t n)
{
  while (n > 0) {
    uint16_t chunk = n < CHUNK ? n : CHUNK;
    Serial.write(bytes, chunk);
    bytes += chunk;
    n = (uint16_t)(n - chunk);
    collect();
  }
}

static void send_rows()
{
  while (queue_out != queue_in) {
    const Row *row = &queue[queue_out % QUEUE_LENGTH];
    if (row->after_a_hole) {
      hw_board_missed(&board);
    }
    hw_board_row(&board, row->counts, row->clock_us);
    off = row->off;
    silent = 0;
    queue_out = (uint8_t)(queue_out + 1);
  }
}

static uint8_t set_rate(uint32_t rate_mhz)
{
  if (rate_code(rate_mhz) == 0xFF) {
    return 0;
  }
  if (rate_mhz == rate_mhz_now) {
    return 1;
  }
  collect();
  send_rows();
  rate_mhz_now = rate_mhz;
  if (stage == RUNNING) {
    digitalWrite(PIN_START, LOW);
    if (!start_chip()) {
      look_again();
    }
  }
  return 1;
}

void setup()
{
  hw_serial_begin();
  digitalWrite(PIN_CS, HIGH);
  pinMode(PIN_CS, OUTPUT);
  pinMode(PIN_START, OUTPUT);
  digitalWrite(PIN_RESET, HIGH);
  pinMode(PIN_RESET, OUTPUT);
  pinMode(PIN_DRDY, INPUT);
  SPI.begin();
  attachInterrupt(digitalPinToInterrupt(PIN_DRDY), note_conversion, FALLING);
  hw_board_begin(&board, &DESCRIPTION, write_line, set_rate, ROWS_A_FRAME, hw_now_us());
}

void loop()
{
  advance_stage();
  collect();
  send_rows();
  hw_board_status(&board, silent ? BOTH : off, HW_NO_BATTERY, hw_now_us());
  hw_serve(&board);
  hw_rest(&drdy_count, seen);
}
