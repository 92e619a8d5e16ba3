/* SPI: see sim_avr.h. SPDX-License-Identifier: Apache-2.0 */
#ifndef ARM_AVR_SPI_H
#define ARM_AVR_SPI_H

#define AVR_IOCTL_SPI_GETIRQ(number) (0x200u | (uint32_t)(number))
enum { SPI_IRQ_INPUT, SPI_IRQ_OUTPUT };

#endif
