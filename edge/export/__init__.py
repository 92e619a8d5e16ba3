"""A span of what was sensed, in files other programs read: for the person at the machine only.

    placing    packets -> placed runs of samples, and what the monitor made of them
    gather     one pass over them: samples to the spool, alerts and answers to the notebook
    spool      on the disk, so that memory does not grow with the night
    notes      alerts, answers, single measurements, gaps and beats, as annotations
    span       what a format is handed
    grid       uneven clocks laid on a nominal rate, where a format knows no other time
    edfplus    EDF+C; its annotations: tals
    records    WFDB
    table      CSV
    fhir       FHIR R4; its codes: fhir_codes
    strip      the seconds around one alert
    page       that alert on a sheet of A4; its ECG: paper

Nothing that may open a network connection can import this (see pyproject.toml): exports hold raw
signals, and those leave the box in a person's hand or not at all.

**What becomes of time.** Every source has its own clock, a few to a few hundred parts in a million
off its nominal rate, and packets get lost. `edge.dsp.timeline` says where each sample lies and how
far off that may be; an export keeps it:

- CSV gives every sample the time it was placed at and the bound on its error; nothing is moved.
- FHIR begins a new block every minute and at every gap. A block has its own start and the true
  mean distance of its samples; how far any sample in it lies off that line is in its note.
- EDF+ and WFDB know nothing but a nominal rate. Each sample goes to the nearest place of that rate,
  its value untouched: nothing is resampled. Where a clock has drifted by a whole sample one is left
  out, or one is given twice, about one in 20,000 at 50 ppm. A sample lies at most 0.55 of a
  sampling interval off its place; that bound, the placing's own and the drift are in the file.
- Where there is no sample, WFDB has its code for that; EDF+ has none, so the lowest digital
  value, which no sample has, stands there, and an annotation says from when to how long. EDF+D,
  which would leave such spans out, cannot: its gaps are those of all signals at once, and most
  programs refuse to read it.
"""
