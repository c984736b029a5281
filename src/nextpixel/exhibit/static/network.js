/** A network carried out pixel by pixel, as the CPU engine does: see engine/cpu/kernels.py.
 *
 * It is described by tables, which Python makes: operations of the three phases of a scan (before a
 * row, at a pixel, once a pixel is written), the spans of memory that convolutions read, and where
 * feature maps lie. Maps are rings of the rows that are still read. One image at a time. */

import { STEPS } from "./steps.js";

export class Network {
  /** @param {Object} tables what `nextpixel.exhibit.tables` writes, its arrays unpacked */
  constructor(tables) {
    Object.assign(this, tables);
    [, this.height, this.width] = tables.shape;
    this.state = new Float32Array(tables.size);
    this.here = new Int32Array(this.maps.length);
    this.phases = tables.phases.map((phase) => ({
      lengths: Int32Array.from(phase.spans, (span) => span.length),
      begins: new Int32Array(phase.spans.length),
      spans: phase.spans,
      calls: phase.ops.map((op) => this.callOf(op)),
    }));
  }

  callOf(op) {
    return { ...op, run: STEPS[op.step], features: this.maps[op.z].features };
  }

  /** Forget the image; the next has this label, where the network takes one. */
  begin(label = 0) {
    this.state.fill(0);
    this.label = label;
  }

  /** Find where a row lies in the rings, and carry out what needs the rows above only. */
  beginRow(row) {
    this.maps.forEach((map, m) => {
      this.here[m] = this.placeOf(map, row, 0);
    });
    for (const phase of this.phases) {
      phase.spans.forEach((span, s) => {
        const map = this.maps[span.map];
        const column = span.column * map.features;
        phase.begins[s] = this.placeOf(map, row, span.row) + column + span.feature;
      });
    }
    this.run(this.phases[0], row, 0, this.width);
  }

  placeOf(map, row, offset) {
    const slot = (((row + offset) % map.rows) + map.rows) % map.rows;
    return map.base + (slot * (this.width + 2 * map.pad) + map.pad) * map.features;
  }

  /** Carry out what a pixel needs beyond; where its outputs begin in `state`. */
  predict(row, column) {
    this.run(this.phases[1], row, column, column + 1);
    return this.here[this.output] + column * this.maps[this.output].across;
  }

  /** Show the network the level of a pixel. */
  write(row, column, level) {
    const place = this.here[0] + column * this.maps[0].across;
    this.shown[level].forEach((value, plane) => {
      this.state[place + plane] = value;
    });
    this.run(this.phases[2], row, column, column + 1);
  }

  /** Operations of a phase at columns left..right-1. */
  run(phase, row, left, right) {
    this.begins = phase.begins;
    this.lengths = phase.lengths;
    for (const call of phase.calls) this.carryOut(call, row, left, right - left);
  }

  carryOut(call, row, column, places) {
    const { maps, here } = this;
    const [source, other, target] = [maps[call.x], maps[call.y], maps[call.z]];
    const term = this.places[call.injection];
    call.places = places;
    call.source = (call.spans ? 0 : here[call.x]) + column * source.across;
    call.other = here[call.y] + column * other.across;
    call.target = here[call.z] + column * target.across;
    call.term = term[0] + this.label * term[1] + row * term[2] + column * term[3];
    call.sourceStep = source.across;
    call.otherStep = other.across;
    call.targetStep = target.across;
    call.termStep = term[3];
    call.run(this, call);
  }
}
