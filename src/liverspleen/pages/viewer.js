// Slices of CT scans with the reference, the prediction and the errors. NiiVue draws them; the page contains all data.
//
// <script id="viewer-data" type="application/json">  the cases and the colours
// <script id="niivue" type="text/plain">             NiiVue, compressed with gzip, in base64
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("viewer-data").textContent);
  const box = document.getElementById("viewer");
  const [canvas, status] = [box.querySelector("canvas"), box.querySelector("output")];
  const [which, overlay, plane, slice, opacity] = ["case", "overlay", "plane", "slice", "opacity"].map(
    (name) => box.querySelector(`[name=${name}]`));
  // Voxels of NiiVue are counted from right, posterior and inferior; those of the page from right, anterior, inferior.
  const PLANES = { axial: 2, coronal: 1, sagittal: 0 };
  let viewer, shown, loading = Promise.resolve();

  const unpacked = async (text) => {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  };
  const say = (text) => { status.textContent = text; };
  const axis = () => PLANES[plane.value] ?? 2;
  const position = () => viewer.frac2vox(viewer.scene.crosshairPos);

  const start = async () => {
    const script = document.createElement("script");
    script.textContent = new TextDecoder().decode(await unpacked(document.getElementById("niivue").textContent));
    document.head.append(script);
    const { Niivue, DRAG_MODE } = globalThis.niivue;
    const created = new Niivue({
      logLevel: "error", loadingText: "", dragMode: DRAG_MODE.slicer3D, dragAndDropEnabled: false, show3Dcrosshair: false,
      isRadiologicalConvention: true, multiplanarShowRender: 0, crosshairColor: [1, 0.95, 0.4, 1],
      crosshairWidth: 1.2, crosshairWidthUnit: "mm", showLegend: false,
      isNearestInterpolation: false, fontColor: [0.85, 0.85, 0.85, 1],
    });
    await created.attachToCanvas(canvas);
    created.onLocationChange = () => describe();
    viewer = created;
  };

  const image = async (bytes, one) => {
    const [slices, rows, columns] = one.shape;
    const [dz, dy, dx] = one.spacing_mm;
    const affine = [-dx, 0, 0, 0, 0, -dy, 0, 0, 0, 0, dz, 0, 0, 0, 0, 1];
    const { NVImage } = globalThis.niivue;
    const file = await NVImage.createNiftiArray([columns, rows, slices], [dx, dy, dz], affine, 2, bytes);
    return NVImage.new(file.buffer, `${one.anchor}.nii`);
  };

  const open = async (one) => {
    say(`Loading ${one.name} …`);
    if (!viewer) await start();
    const bytes = await unpacked(document.getElementById(one.data).textContent);
    const voxels = bytes.length / 2;
    const labels = bytes.subarray(voxels);
    const ct = await image(bytes.slice(0, voxels), one);
    Object.assign(ct, { cal_min: 0, cal_max: 255 });
    const map = await image(labels.map((value) => value & 15), one);
    const entries = Object.entries(data.colours);
    const part = (at) => entries.map(([, colour]) => parseInt(colour.slice(at, at + 2), 16));
    map.setColormapLabel({
      R: [0, ...part(1)], G: [0, ...part(3)], B: [0, ...part(5)], A: [0, ...entries.map(() => 255)],
      I: [0, ...entries.map(([value]) => Number(value))], labels: ["", ...entries.map(() => "")],
    });
    for (const volume of [...viewer.volumes]) viewer.removeVolume(volume);
    viewer.addVolume(ct);
    viewer.addVolume(map);
    shown = { ...one, labels, map };
    const [k, j, i] = one.start;
    viewer.scene.crosshairPos = viewer.vox2frac([one.shape[2] - 1 - i, one.shape[1] - 1 - j, k]);
    turn();
    colour();
  };

  // reference: organs; prediction: organs; errors: 1 false positive, 2 false negative, 3 other organ, after the organs
  const VALUE = {
    none: () => 0,
    reference: (value) => value & 15,
    prediction: (value) => value >> 4,
    errors: (value) => {
      const [reference, prediction] = [value & 15, value >> 4];
      if (reference === prediction) return 0;
      return data.errors + (reference === 0 ? 1 : prediction === 0 ? 2 : 3);
    },
  };
  const colour = () => {
    const values = VALUE[overlay.value];
    for (let at = 0; at < shown.labels.length; at++) shown.map.img[at] = values(shown.labels[at]);
    shown.map.opacity = Number(opacity.value);
    viewer.updateGLVolume();
    describe();
  };
  const turn = () => {
    viewer.setSliceType({ axial: 0, coronal: 1, sagittal: 2 }[plane.value] ?? 3);
    slice.max = shown.shape[2 - axis()];
    describe();
  };
  const move = (to) => {
    const now = position();
    const along = axis();
    const last = shown.shape[2 - along] - 1;
    const place = Math.min(Math.max(to, 0), last);
    now[along] = along === 1 ? last - place : place;
    viewer.scene.crosshairPos = viewer.vox2frac(now);
    viewer.drawScene();
    describe();
  };
  const place = () => (axis() === 1 ? shown.shape[1] - 1 - position()[1] : position()[axis()]);
  const describe = () => {
    if (!shown) return;
    const [slices, rows, columns] = shown.shape;
    const [x, y, z] = position();
    const value = shown.labels[(z * rows + rows - 1 - y) * columns + columns - 1 - x] ?? 0;
    slice.value = place() + 1;
    const name = (label) => data.names[label] ?? "none";
    const number = axis() === 2 ? shown.first + z * shown.step : place() + 1;
    const last = axis() === 2 ? shown.slices : shown.shape[2 - axis()];
    slice.setAttribute("aria-valuetext", `slice ${number} of ${last}`);
    say(`${shown.name}: slice ${number} of ${last}. At the cross: reference ${name(value & 15)}, ` +
      `prediction ${name(value >> 4)}.`);
    canvas.dataset.slice = number;
    canvas.dataset.case = shown.anchor;
  };

  const select = (anchor) => {
    const one = data.cases.find((entry) => entry.anchor === anchor);
    if (!one) return;
    which.value = anchor;
    loading = loading.then(() => (shown?.anchor === anchor ? null : open(one))).catch((error) => {
      say(`The slices cannot be shown: ${error.message}. The viewer needs WebGL 2; all numbers are in the tables.`);
    });
  };
  which.addEventListener("change", () => select(which.value));
  overlay.addEventListener("change", () => shown && colour());
  plane.addEventListener("change", () => shown && turn());
  slice.addEventListener("input", () => shown && move(Number(slice.value) - 1));
  opacity.addEventListener("input", () => shown && viewer.setOpacity(1, Number(opacity.value)));
  const KEYS = { ArrowUp: 1, ArrowRight: 1, PageUp: 5, ArrowDown: -1, ArrowLeft: -1, PageDown: -5 };
  canvas.addEventListener("keydown", (event) => {
    const choice = Number(event.key) - 1;
    event.stopImmediatePropagation(); // the keys of NiiVue change what the page does not show
    if (!shown) return;
    if (event.key in KEYS) move(place() + KEYS[event.key]);
    else if (choice in overlay.options) { overlay.selectedIndex = choice; colour(); }
    else return;
    event.preventDefault();
  }, { capture: true });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-case]");
    if (link) select(link.dataset.case);
  });
  addEventListener("hashchange", () => select(location.hash.slice(1)));
  box.hidden = false;
  const linked = data.cases.find((entry) => entry.anchor === location.hash.slice(1)) ?? data.cases[0];
  new IntersectionObserver((entries, observer) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    if (!shown) select(linked.anchor);
  }, { rootMargin: "300px" }).observe(box);
})();
