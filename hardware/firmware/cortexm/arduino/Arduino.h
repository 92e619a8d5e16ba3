/*
 * As much of Arduino as the sketches here use, on the Cortex-M3 of mps2.h: the very same .ino files
 * run on an ARM. A person with an Arduino board uses that board's own core instead.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef Arduino_h
#define Arduino_h

#include <stddef.h>
#include <stdint.h>

#define ARDUINO 10819
#define ARDUINO_ARCH_MPS2

#define LOW 0
#define HIGH 1
#define INPUT 0
#define OUTPUT 1
#define INPUT_PULLUP 2
#define CHANGE 1
#define FALLING 2
#define RISING 3
#define LSBFIRST 0
#define MSBFIRST 1

typedef uint8_t byte;
typedef bool boolean;

extern "C" {
void pinMode(uint8_t pin, uint8_t mode);
void digitalWrite(uint8_t pin, uint8_t level);
int digitalRead(uint8_t pin);
/* Every pin has an interrupt, of the same number. */
void attachInterrupt(uint8_t interrupt, void (*run)(void), int edge);
void detachInterrupt(uint8_t interrupt);
void noInterrupts(void);
void interrupts(void);
unsigned long micros(void);
unsigned long millis(void);
void delay(unsigned long ms);
void yield(void); /* sleeps until the next interrupt, a millisecond at most */
}

static inline uint8_t digitalPinToInterrupt(uint8_t pin)
{
  return pin;
}

class SerialLine {
 public:
  void begin(unsigned long baud);
  size_t write(const uint8_t *bytes, size_t n);
  size_t write(uint8_t value) { return write(&value, 1); }
  int available();
  int read();
  operator bool() { return true; }
};
extern SerialLine Serial;

void setup();
void loop();

#endif
