/* I2C: see sim_avr.h. SPDX-License-Identifier: Apache-2.0 */
#ifndef ARM_AVR_TWI_H
#define ARM_AVR_TWI_H

#include <stdint.h>

#include <simavr/sim_avr.h>

#define AVR_IOCTL_TWI_GETIRQ(number) (0x300u | (uint32_t)(number))
enum { TWI_IRQ_INPUT, TWI_IRQ_OUTPUT };
enum {
  TWI_COND_START = 1,
  TWI_COND_STOP = 2,
  TWI_COND_ADDR = 4,
  TWI_COND_ACK = 8,
  TWI_COND_WRITE = 16,
  TWI_COND_READ = 32
};

typedef struct {
  union {
    uint32_t v;
    struct {
      uint8_t none, msg, addr, data;
    } twi;
  } u;
} avr_twi_msg_irq_t;

typedef struct {
  avr_io_t io;
  uint8_t next_twstate;
} avr_twi_t;

static inline uint32_t avr_twi_irq_msg(uint8_t msg, uint8_t addr, uint8_t data)
{
  return (uint32_t)msg << 8 | (uint32_t)addr << 16 | (uint32_t)data << 24;
}

#endif
