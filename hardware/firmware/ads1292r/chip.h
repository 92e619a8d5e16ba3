/*
 * The ADS1292R's commands and registers, and its words: part of the sketch ads1292r.ino.
 *
 * Data sheet Texas Instruments SBAS502. Read there: commands, the wait of 4 tCLK, RDATA, the words.
 * Registers and the waits after power and reset were checked against public drivers only.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef ADS1292R_CHIP_H
#define ADS1292R_CHIP_H

/* "Table 13. Command Definitions" */
#define SDATAC 0x11
#define RDATA 0x12
#define RREG 0x20
#define WREG 0x40

/* "Register Map" */
#define ID 0x00
#define CONFIG1 0x01
#define CONFIG2 0x02
#define LOFF 0x03
#define CH1SET 0x04
#define CH2SET 0x05
#define RLD_SENS 0x06
#define LOFF_SENS 0x07
#define RESP1 0x09
#define RESP2 0x0A

#define THIS_PART 0x73
#define GAIN_6 0x00
#define GAIN_4 0x40
#define CONFIG2_REFERENCE 0xA0  /* bit 7 always; reference buffer on, 2.42 V */
#define CONFIG2_LEAD_OFF 0x40   /* comparators on */
#define LOFF_6_NA_DC 0x10       /* bit 4 always; 95 % and 5 %, 6 nA, direct current */
#define RLD_FROM_CHANNEL_2 0x2C /* right leg drive on, from IN2P and IN2N */
#define IN1P_OFF 0x01
#define IN1N_OFF 0x02
#define IN2P_OFF 0x04
#define IN2N_OFF 0x08
/* Modulation and demodulation on, phase 12 x 11.25 = 135 degrees, internal clock; bit 1 always. */
#define RESP1_ON 0xF2
#define RESP1_OFF 0x02
#define RESP2_32_KHZ 0x03 /* right leg reference inside, 32 kHz; bit 0 always */

/* Counts for a millivolt at the electrodes: gain x (2^23 - 1) / VREF ("Data Format"). */
#define COUNTS_A_MV(gain) ((gain) * 8388607.0f / 2420.0f)

/* fCLK = 512 kHz: one tCLK is 1.95 us; 4 of them from the end of one byte of a command to that of
 * the next ("Sending Multi-Byte Commands"), which a byte at 1 MHz takes, and from the last bit to
 * CS. */
#define SPI_HZ 1000000uL
#define FOUR_TCLK_US 8u
#define RESET_US 50u   /* at least one tMOD = 7.8 us; a long low would switch it off */
#define RESTART_US 50u /* 18 tCLK = 35 us after the reset */
#define FRAME_BYTES 10u /* status, channel 1, channel 2, and the first byte again */

/* ---- Commands -------------------------------------------------------------------------------- */

static void begin_transfer()
{
  /* Clock idle low, data changed on its rising and taken on its falling edge: mode 1. */
  SPI.beginTransaction(SPISettings(SPI_HZ, MSBFIRST, SPI_MODE1));
  digitalWrite(PIN_CS, LOW);
}

static void end_transfer()
{
  hw_wait_us(FOUR_TCLK_US);
  digitalWrite(PIN_CS, HIGH);
  SPI.endTransaction();
}

static void send_command(uint8_t code)
{
  begin_transfer();
  SPI.transfer(code);
  end_transfer();
}

static uint8_t read_register(uint8_t reg)
{
  uint8_t value;
  begin_transfer();
  SPI.transfer((uint8_t)(RREG | reg));
  SPI.transfer(0); /* one register */
  value = SPI.transfer(0);
  end_transfer();
  return value;
}

/* Write and read back; 1 = it is so. */
static uint8_t set_register(uint8_t reg, uint8_t value)
{
  begin_transfer();
  SPI.transfer((uint8_t)(WREG | reg));
  SPI.transfer(0);
  SPI.transfer(value);
  end_transfer();
  return read_register(reg) == value;
}

static uint8_t rate_code(uint32_t rate_mhz) /* CONFIG1; 0xFF where there is none */
{
  switch (rate_mhz) {
    case 125000uL:
      return 0;
    case 250000uL:
      return 1;
    case 500000uL:
      return 2;
    default:
      return 0xFF;
  }
}

/* ---- Conversions ----------------------------------------------------------------------------- */

static int32_t count_of(const uint8_t *bytes)
{
  uint32_t count = ((uint32_t)bytes[0] << 16) | ((uint32_t)bytes[1] << 8) | bytes[2];
  return (int32_t)(count ^ 0x800000uL) - 0x800000L;
}

/* Status word: 1100, LOFF_STAT (RLD, IN2N, IN2P, IN1N, IN1P), GPIO, zeros. */
static uint8_t off_of(const uint8_t *bytes)
{
  uint8_t electrodes = (uint8_t)((uint8_t)(bytes[0] << 1) | (bytes[1] >> 7));
  uint8_t second = (electrodes & (IN2P_OFF | IN2N_OFF)) != 0;
#if CHANNEL_1 == SECOND_ECG
  uint8_t first = (electrodes & (IN1P_OFF | IN1N_OFF)) != 0;
#else
  uint8_t first = second; /* the same electrodes */
#endif
  return (uint8_t)(second | (first << 1));
}

/* 1 = the chip's own word, and not that of a wire that nobody drives. */
static uint8_t is_good(const uint8_t *bytes)
{
  return (bytes[0] & 0xF0) == 0xC0 && (bytes[1] & 0x1F) == 0 && bytes[2] == 0 &&
         bytes[FRAME_BYTES - 1] == bytes[0];
}

#endif
