/*
 * Pins, SPI and I2C of the emulated ARM as the virtual chips see them: see arm_bench.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "arm_bench.h"

#include <stddef.h>

#include <simavr/avr_ioport.h>
#include <simavr/avr_spi.h>
#include <simavr/avr_twi.h>

#include "attached.h"
#include "mps2.h"
#include "startup.h"

#define SPCR 0x4C
#define SPSR 0x4D
#define AVR_HZ 16000000u
#define N_IRQS 24

struct avr_irq_t {
  uint32_t of;
  int index;
  avr_irq_notify_t notify;
  void *param;
};

static avr_irq_t irqs[N_IRQS];
static uint8_t answered, answer; /* of the bus */
static uint32_t n_spi_bytes;     /* since a pin was changed, which CS is */

/* simavr takes 100 us for every byte over SPI, and the chips take them off again. Here a byte takes
 * no time, and so they are added: within a transfer only, which the chip's crystal does not see. */
uint64_t arm_spi_ns(void)
{
  return n_spi_bytes * 100000uLL;
}

avr_irq_t *avr_io_getirq(avr_t *of_avr, uint32_t of, int index)
{
  (void)of_avr;
  for (int i = 0; i < N_IRQS; i++) {
    if (irqs[i].of == 0) {
      irqs[i].of = of;
      irqs[i].index = index;
    }
    if (irqs[i].of == of && irqs[i].index == index) {
      return &irqs[i];
    }
  }
  startup_broken();
}

void avr_irq_register_notify(avr_irq_t *irq, avr_irq_notify_t notify, void *param)
{
  irq->notify = notify;
  irq->param = param;
}

/* By a chip: it drives a pin, or answers on a bus. */
void avr_raise_irq(avr_irq_t *irq, uint32_t value)
{
  if (irq->of == AVR_IOCTL_IOPORT_GETIRQ('D')) {
    core_input((uint8_t)irq->index, value != 0);
  } else if (irq->of == AVR_IOCTL_SPI_GETIRQ(0)) {
    answer = (uint8_t)value;
  } else {
    avr_twi_msg_irq_t bus = {.u.v = value};
    answered = 1;
    answer = bus.u.twi.data;
  }
}

/* By the board. The chip's crystal must not come in between, as it cannot within a real chip. */
static void tell(uint32_t of, int index, uint32_t value)
{
  uint32_t before = cpu_mask_more();
  avr_irq_t *irq = avr_io_getirq(&arm_avr, of, index);
  answered = 0;
  answer = 0xFF;
  if (irq->notify != NULL) {
    irq->notify(irq, value, irq->param);
  }
  cpu_restore(before);
}

void attached_pin(uint8_t pin, uint8_t level)
{
  char port = pin < 8 ? 'D' : 'B'; /* as on an Uno */
  tell(AVR_IOCTL_IOPORT_GETIRQ(port), pin % 8, level);
  n_spi_bytes = 0;
}

void attached_spi_settings(uint32_t hz, uint8_t order, uint8_t mode)
{
  uint8_t step = 0; /* divisors 2, 4, 8 ... 128 */
  while (step < 6 && AVR_HZ >> (step + 1) > hz) {
    step++;
  }
  arm_avr.data[SPSR] = step % 2 == 0 && step < 6;
  arm_avr.data[SPCR] = (uint8_t)((order == 0 ? 0x20 : 0) | mode << 2 | (step < 6 ? step / 2 : 3));
}

uint8_t attached_spi(uint8_t value)
{
  tell(AVR_IOCTL_SPI_GETIRQ(0), SPI_IRQ_OUTPUT, value);
  n_spi_bytes++;
  return answer;
}

static uint8_t on_bus(uint8_t what, uint8_t address, uint8_t value)
{
  tell(AVR_IOCTL_TWI_GETIRQ(0), TWI_IRQ_OUTPUT, avr_twi_irq_msg(what, address, value));
  return answered;
}

uint8_t attached_i2c_write(uint8_t address, const uint8_t *bytes, uint8_t n, uint8_t stop)
{
  uint8_t to = (uint8_t)(address << 1);
  uint8_t result = on_bus(TWI_COND_START | TWI_COND_ADDR, to, 0) ? 0 : 2;
  for (uint8_t i = 0; i < n && result == 0; i++) {
    result = on_bus(TWI_COND_WRITE, to, bytes[i]) ? 0 : 3;
  }
  if (stop || result != 0) {
    (void)on_bus(TWI_COND_STOP, to, 0);
  }
  return result;
}

uint8_t attached_i2c_read(uint8_t address, uint8_t *bytes, uint8_t n)
{
  uint8_t from = (uint8_t)(address << 1 | 1);
  uint8_t n_read = 0;
  if (on_bus(TWI_COND_START | TWI_COND_ADDR, from, 0)) {
    for (; n_read < n; n_read++) {
      (void)on_bus(TWI_COND_READ, from, 1);
      bytes[n_read] = answer;
    }
  }
  (void)on_bus(TWI_COND_STOP, from, 0);
  return n_read;
}
