/* Pins: see sim_avr.h. SPDX-License-Identifier: Apache-2.0 */
#ifndef ARM_AVR_IOPORT_H
#define ARM_AVR_IOPORT_H

#define AVR_IOCTL_IOPORT_GETIRQ(port) (0x100u | (uint32_t)(port))

#endif
