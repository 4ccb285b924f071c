"""Images of ECGs: how fast they are made, stored, read and embedded, and what they keep of the voltage. pyts runs beside this package in the same process.

    python benchmarks/images.py [convert cuda embed store voltage epoch] [--data DIR] [--device cuda] [--repeats N]

Without a section all of them run; `cuda`, the conversion on a GPU, only where there is one. Prints each target beside what was measured and writes benchmarks/results/images.json with the machine's description;
what could not be measured is said to be unmeasured. Times are the shortest of several, taken in turn, so that a busy machine slows all alike.
`voltage --data DIR` adds the PTB-XL records in DIR/ptbxl and the records with SNOMED CT codes beside them."""
import argparse, datetime, json, os, platform, subprocess, sys, tempfile, time, warnings
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from ecgclip.data import sample_data
from ecgclip.transforms import ECGToImages, PRESETS, image_summary

root = Path(__file__).resolve().parent.parent
results = root/'benchmarks'/'results'/'images.json'
ECGS, SIGNAL_BYTES = 745_405, 12*5000*2     # training records of MIMIC-IV-ECG, as 16-bit integers

def processor():
    "The processor's name, as the system tells it."
    try: lines = Path('/proc/cpuinfo').read_text().splitlines()
    except OSError: return platform.processor()
    return next((l.split(':')[1].strip() for l in lines if l.startswith('model name')), platform.processor())

def machine(device):
    import numba, pyts
    load = round(os.getloadavg()[0], 1) if hasattr(os, 'getloadavg') else None
    return dict(processor=processor(), processors=os.cpu_count(), threads=torch.get_num_threads(), load_at_start=load, device=torch.cuda.get_device_name(device) if device.type == 'cuda' else 'CPU',
                python=platform.python_version(), torch=torch.__version__, numba=numba.__version__, numpy=np.__version__, pyts=pyts.__version__)

def clock(f, device):
    "Seconds of one call."
    start = time.perf_counter(); f()
    if device.type == 'cuda': torch.cuda.synchronize(device)
    return time.perf_counter() - start

def side_by_side(fs, repeats, device=torch.device('cpu')):
    "The shortest time of each function in seconds, called in turn."
    for f in fs.values(): clock(f, device)
    best = dict.fromkeys(fs, float('inf'))
    for _ in range(repeats):
        for k, f in fs.items(): best[k] = min(best[k], clock(f, device))
    return best

def with_threads(n, f):
    "`f()` on `n` of PyTorch's threads."
    old = torch.get_num_threads()
    torch.set_num_threads(n)
    try: return f()
    finally: torch.set_num_threads(old)

# ---- conversion

SAME = dict(published={}, millivolt=dict(bins_over='segment'))   # pyts has no bins over a record

def peer(preset, ecg):
    "pyts' three transforms of `(B,12,5000)`, stacked to float32 `(B,50,36,100,100)`."
    from pyts.image import GramianAngularField, MarkovTransitionField, RecurrencePlot
    s = PRESETS[preset]
    x = ecg.double().numpy().reshape(-1, 12, 50, 100).transpose(0, 2, 1, 3).reshape(-1, 100)
    unit, r = (x.clip(*s['value_range'])/s['value_range'][1], None) if 'value_range' in s else (x, (-1, 1))
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        gaf = GramianAngularField(sample_range=r, method=s.get('method', 'difference')).transform(unit)
        rp = RecurrencePlot(threshold=s.get('threshold', 'point'), percentage=10).transform(x)
        mtf = MarkovTransitionField(n_bins=8, strategy='quantile').transform(x)
    if 'distance_scale' in s: rp = rp/s['distance_scale']
    return np.stack((gaf, rp, mtf), 1).astype(np.float32).reshape(len(ecg), 50, 36, 100, 100)

def one_by_one(preset, ecg):
    "pyts is faster with one ECG at a time: its arrays are of double precision and large."
    for x in ecg: peer(preset, x[None])

def fresh_start(cache):
    "Seconds from nothing in memory to the first images, in a process of its own."
    code = "import time, torch\nfrom ecgclip.transforms import ECGToImages\nf, x = ECGToImages(), torch.randn(1, 12, 5000)\nt = time.perf_counter(); f(x); print(time.perf_counter() - t)"
    run = subprocess.run([sys.executable, '-c', code], env=os.environ | dict(NUMBA_CACHE_DIR=cache), capture_output=True, text=True, check=True)
    return float(run.stdout.split()[-1])

def agreement(preset, ecg):
    "Largest difference from pyts, and the share of pixels that differ by more than 5e-5."
    want, out = torch.from_numpy(peer(preset, ecg)), {}
    for b in ('numba', 'torch'):
        d = (ECGToImages.from_preset(preset, backend=b, **SAME[preset])(ecg) - want).abs()
        out[b] = dict(gramian=d[:, :, 0::3].max().item(), recurrence=d[:, :, 1::3].max().item(), transitions=d[:, :, 2::3].max().item(), share_beyond_5e5=(d > 5e-5).double().mean().item())
    return out

def convert(args):
    ecg, out = torch.from_numpy(sample_data().ecgs([0, 60, 100, 200])), {}
    for preset in PRESETS:
        layers = {k: ECGToImages.from_preset(preset, backend=b, dtype=t, **SAME[preset]) for k, b, t in (('numba', 'numba', 'float32'), ('torch', 'torch', 'float32'),
                  ('numba float16', 'numba', 'float16'), ('numba uint8', 'numba', 'uint8'))}
        run = lambda: side_by_side({'pyts': partial(one_by_one, preset, ecg)} | {k: partial(f, ecg) for k, f in layers.items()} | {'numba, bins over record': partial(ECGToImages.from_preset(preset), ecg)}, args.repeats)
        ms = {k: round(v/len(ecg)*1e3, 2) for k, v in run().items()}
        alone = {k: round(v/len(ecg)*1e3, 2) for k, v in with_threads(1, lambda: side_by_side({'pyts': partial(one_by_one, preset, ecg), 'numba': partial(layers['numba'], ecg)}, args.repeats)).items()}
        out[preset] = dict(ecgs_a_call=len(ecg), ms=ms, ms_one_thread=alone, times_pyts=round(ms['pyts']/ms['numba'], 1), times_pyts_one_thread=round(alone['pyts']/alone['numba'], 1), agreement=agreement(preset, ecg[::2]))
    with tempfile.TemporaryDirectory() as cache: out['first images, s'] = dict(compiling=round(fresh_start(cache), 1), from_cache=round(fresh_start(cache), 1))
    return out

def convert_cuda(args):
    "Milliseconds an ECG on the device, in half precision, in a batch of 16."
    ecg = torch.from_numpy(sample_data().ecgs(range(16))).to(args.device)
    return {p: {str(t).removeprefix('torch.'): round(side_by_side({0: partial(ECGToImages.from_preset(p, dtype=t), ecg)}, args.repeats, args.device)[0]/16*1e3, 4) for t in (torch.float32, torch.float16)} for p in PRESETS}

# ---- patch embedding

def rank_two(x, weight, p, layer):
    "The Gramian difference field's part of a patch embedding from its two rows of numbers: no image is written. `weight` is `(d,12,p,p)`."
    from ecgclip.transforms import _polar
    cos, sin = (o.unflatten(-1, (-1, p)) for o in _polar(layer.points(x), layer.sample_range, layer.value_range))   # (B,T,12,h,p)
    zc, zs = (torch.einsum('btlwv,dluv->btwdlu', o, weight) for o in (cos, sin))
    return torch.einsum('bthlu,btwdlu->bthwd', sin.movedim(2, 3), zc) - torch.einsum('bthlu,btwdlu->bthwd', cos.movedim(2, 3), zs)

def gramian_parts(p, size, dim, x, repeats):
    "Forward and backward of the Gramian part: patches written and multiplied, against rank two."
    layer, w = ECGToImages(image_size=size), torch.randn(dim, 12, p, p).mul_(.01).requires_grad_()
    def written(): return F.linear(layer.patches(x, p).view(len(x), 50, -1, 12, 3, p*p)[..., 0, :].flatten(3), w.flatten(1))
    def structured(): return rank_two(x, w, p, layer).flatten(2, 3)
    assert (written() - structured()).abs().max() < 1e-3
    step = lambda f: lambda: (f().sum().backward(), setattr(w, 'grad', None))
    return side_by_side(dict(written=step(written), rank_two=step(structured)), repeats)

def embedders(enc):
    "Ways from signals to embedded patches."
    emb = enc.net.to_patch_embedding
    def patches(x, *args):
        w, b = emb.scaled()
        return F.linear(enc.images.patches(x, emb.patch), w, b).unflatten(1, (enc.n_frames, -1))
    return {'images, cut, multiplied': lambda x, *args: emb(enc.images(x)), 'patches written directly': patches}

def encoder_steps(enc, x, repeats):
    "Forward and backward of an encoder, conversion included, by way of embedding; and the embedding alone."
    ways, original = embedders(enc), enc._embedded
    out = [w(x) for w in ways.values()]
    assert (out[0] - out[1]).abs().max() < 1e-4*out[0].abs().max()
    def step(f):
        def g(): f().square().mean().backward(); enc.zero_grad()
        return g
    def whole(w):
        def f():
            enc._embedded = w
            try: return enc(x)
            finally: enc._embedded = original
        return f
    alone = side_by_side({k: step(partial(w, x)) for k, w in ways.items()}, repeats)
    return dict(encoder=side_by_side({k: step(whole(w)) for k, w in ways.items()}, repeats), embedding=alone)

def embed(args):
    from ecgclip.encoders import create_encoder
    x, out = torch.from_numpy(sample_data().ecgs(range(4))), {}
    demo = create_encoder('timesformer_tiny', attn_dropout=0., ff_dropout=0.)
    ms = lambda d, n: {k: round(v/n*1e3, 1) for k, v in d.items()}
    out['demo, ms an ECG'] = {k: ms(v, len(x)) for k, v in encoder_steps(demo, x, args.repeats).items()}
    out['Gramian part, demo (50 px, patch 25, dim 128), ms'] = ms(gramian_parts(25, 50, 128, x[:2], args.repeats), 2)
    out['Gramian part, published (100 px, patch 10, dim 192), ms'] = ms(gramian_parts(10, 100, 192, x[:1], args.repeats), 1)
    return out

# ---- data modes

def drop_cache(path):
    "Let the system forget a file that it keeps in memory."
    if not hasattr(os, 'posix_fadvise'): return False
    with open(path, 'rb') as f: os.fsync(f.fileno()); os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return True

def loaders(data, images, device, **kwargs):
    from ecgclip.core import Config
    from ecgclip.loaders import ecg_dataloaders
    tokens = lambda texts: dict(input_ids=torch.ones(len(texts), 4, dtype=torch.long), attention_mask=torch.ones(len(texts), 4, dtype=torch.long))
    return ecg_dataloaders(data, tokens, Config(device=str(device), batch_size=4, workers=0, **kwargs), images=images, images_path=kwargs.get('images_path'), verbose=False)

def one_epoch(dls, images, device):
    "From the loader to images on the device, all training records; ECGs a second."
    n, start = 0, time.perf_counter()
    for ecg, *_ in dls.train:
        ecg = images(ecg) if ecg.ndim == 3 else ecg
        n += len(ecg)
    if device.type == 'cuda': torch.cuda.synchronize(device)
    return n/(time.perf_counter() - start)

def store(args):
    from ecgclip.loaders import ImageStore, STORAGE, image_bytes, look_at_machine, measured_mode, precompute_images, storage_errors
    whole = sample_data()
    data = whole.subset([*np.flatnonzero(whole.df.split == 'train')[:args.records - 4], *np.flatnonzero(whole.df.split == 'valid')[:4]])
    images, out = ECGToImages(), dict(records=len(data), errors={p: storage_errors(torch.from_numpy(whole.ecgs(range(0, 240, 40))), ECGToImages.from_preset(p)).to_dict('records') for p in PRESETS})
    rate = lambda dls: round(max(one_epoch(dls, images, args.device) for _ in range(args.repeats)), 1)
    modes = out['ECGs a second, loader to images on the device'] = {'signals, converted': rate(loaders(data, images, args.device, data_mode='runtime'))}
    sizes = out['bytes an ECG'] = {'signals, converted': SIGNAL_BYTES}
    with tempfile.TemporaryDirectory(dir=args.scratch) as tmp:
        for dtype in STORAGE:
            path = Path(tmp)/dtype
            start = time.perf_counter(); precompute_images(data, path, images, dtype=dtype, confirm=True, device=str(args.device), progress=False)
            out.setdefault('ECGs a second, written', {})[dtype] = round(len(data)/(time.perf_counter() - start), 1)
            dls = loaders(data, images, args.device, data_mode='precomputed', images_path=str(path))
            if drop_cache(path/'images.npy'): modes[f'{dtype}, from disk'] = round(one_epoch(dls, images, args.device), 1)
            modes[f'{dtype}, kept in memory'] = rate(dls)
            sizes[dtype] = image_bytes(1, images, dtype)
            out.setdefault('choice', {})[dtype] = vars(measured_mode(look_at_machine(str(args.device), tmp), data, images, ImageStore(path)))
            del dls
            for o in path.iterdir(): o.unlink()
    return out

# ---- voltage

HYPERTROPHY, NORMAL = {'LVH', 'VCLVH', '164873001', '55827005'}, {'NORM'}   # PTB-XL's codes; SNOMED CT's for LVH and for LVH by voltage

def from_folder(folder):
    "`(name, patient, signal, codes)` of the PTB-XL records in a folder, and of records with SNOMED CT codes beside them."
    import ast
    import pandas as pd
    from ecgclip.core import ECGReadError
    from ecgclip.data import read_ecg
    for row in pd.read_csv(folder/'ptbxl'/'ptbxl_database.csv').itertuples():
        path = folder/'ptbxl'/row.filename_hr
        if path.with_suffix('.hea').exists(): yield row.filename_hr, f'ptbxl-{int(row.patient_id)}', read_ecg(path), set(ast.literal_eval(row.scp_codes))
    for other in sorted(o for o in folder.iterdir() if (o/'RECORDS').exists() and o.name not in ('ptbxl', 'ptbxl_challenge', 'quirks')):   # those two repeat records
        for name in (other/'RECORDS').read_text().split():
            path = other/name
            codes = {c.strip() for l in path.with_suffix('.hea').read_text(errors='replace').splitlines() if l.lstrip('# ').startswith('Dx:') for c in l.split(':')[1].split(',')}
            codes = {'NORM'} if codes == {'426783006'} else codes   # sinus rhythm and nothing else
            try: x = read_ecg(path)
            except ECGReadError: continue
            yield name, f'{other.name}-{name}', x[:, :5000], codes

def records(args):
    "Signals, hypertrophy (1) or normal (0), patients; both kinds from the same sources."
    if args.data: rows = list(from_folder(args.data))
    else:
        d = sample_data()
        rows = [(r, d.patients[i], None, set(d.df.codes[i].split(';'))) for i, r in enumerate(d.df.record) if d.df.source[i] == 'ptbxl']
        of = {r: i for i, r in enumerate(d.df.record)}
    kinds = [(r, p, x, 1 if c & HYPERTROPHY else 0) for r, p, x, c in rows if c & (HYPERTROPHY | NORMAL)]
    x = np.stack([o[2] if o[2] is not None else d.ecg(of[o[0]]) for o in kinds])
    return torch.from_numpy(x.astype(np.float32)), np.array([o[3] for o in kinds]), np.array([str(o[1]) for o in kinds])

def embedded(layer, x): return torch.cat([image_summary(layer(o)) for o in x.split(8)]).numpy()

def sokolow_lyon(x):
    "S in V1 and the larger R in V5 and V6, mV."
    x = x - x.median(-1, keepdim=True).values
    return (x[:, 10:12].amax((1, 2)) - x[:, 6].amin(-1)).numpy()

def area(y, s):
    from sklearn.metrics import roc_auc_score
    return roc_auc_score(y, s)

def interval(y, s, patients, n=1000, seed=0):
    "95 % interval of the area under the curve, patients resampled."
    rng, own = np.random.default_rng(seed), [np.flatnonzero(patients == p) for p in np.unique(patients)]
    draws = []
    while len(draws) < n:
        i = np.concatenate([own[k] for k in rng.integers(len(own), size=len(own))])
        if 0 < y[i].sum() < len(i): draws.append(area(y[i], s[i]))
    return [round(float(o), 3) for o in np.percentile(draws, [2.5, 97.5])]

def classifier():
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    return make_pipeline(StandardScaler(), LogisticRegression(C=.001, class_weight='balanced', max_iter=2000))

def out_of_fold(z, y, patients, scaled=None):
    "Scores of each record by a classifier that has not seen its patient, mean of five divisions; and of the same records scaled."
    from sklearn.model_selection import StratifiedGroupKFold
    s, t = np.zeros(len(y)), {k: np.zeros(len(y)) for k in scaled or {}}
    for seed in range(5):
        for fit, rest in StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(z, y, patients):
            model = classifier().fit(z[fit], y[fit])
            s[rest] += model.decision_function(z[rest])/5
            for k, v in t.items(): v[rest] += model.decision_function(scaled[k][rest])/5
    return s, t

def gain_found(z, patients):
    """How well a linear model reads the factor of records by other patients: share of the variance of its logarithm. Its penalty is chosen on patients
    that it learns from."""
    from sklearn.linear_model import Ridge
    from sklearn.metrics import r2_score
    from sklearn.model_selection import GridSearchCV, GroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    x, y, g = np.concatenate(list(z.values())), np.repeat(np.log2(list(z)), len(patients)), np.tile(patients, len(z))
    search, got = GridSearchCV(make_pipeline(StandardScaler(), Ridge()), {'ridge__alpha': 10.**np.arange(6)}, cv=GroupKFold(5)), np.empty(len(y))
    for fit, rest in GroupKFold(5).split(x, y, g): got[rest] = search.fit(x[fit], y[fit], groups=g[fit]).predict(x[rest])
    return r2_score(y, got)

GAINS = (.5, .7071, 1., 1.4142, 2.)

def voltage(args):
    x, y, patients = records(args)
    out = dict(source=args.data.name if args.data else 'embedded sample', hypertrophy=int(y.sum()), normal=int((y == 0).sum()), patients=len(set(patients)))
    s = sokolow_lyon(x)
    out['Sokolow-Lyon voltage'] = dict(area=round(area(y, s), 3), interval=interval(y, s, patients))
    for preset in PRESETS:
        layer = ECGToImages.from_preset(preset, image_size=50)
        z = {g: embedded(layer, x*g) for g in GAINS}
        s, scaled = out_of_fold(z[1.], y, patients, {g: z[g] for g in GAINS})
        shift = {str(g): round(float((scaled[g] - s)[y == 0].mean()/s.std()), 2) for g in GAINS}
        out[preset] = dict(area=round(area(y, s), 3), interval=interval(y, s, patients), score_of_normal_records_scaled=shift, variance_of_gain_found=round(gain_found({g: v[y == 0] for g, v in z.items()}, patients[y == 0]), 3))
    return out

# ---- an epoch of MIMIC-IV-ECG

MINUTES, GPU_BYTES = 15, 4.8e12    # the aim; memory of an H200, bytes a second, as its maker states

def training():
    "What benchmarks/encoders.py found: its lines of arithmetic, the device, and ECGs a second of the TimeSformer's training step, not compiled."
    path = next((p for name in ('encoders_cuda', 'encoders') if (p := results.with_name(f'{name}.json')).exists()), None)
    if not path: return [], None, None
    d = json.loads(path.read_text())
    return d['epoch']['lines'], d['machine'].get('gpu'), d['batch']/d['numbers']['training step']['seconds']['ours']

def epoch(args):
    from ecgclip.loaders import STORAGE, image_bytes
    lines, gpu, rate = training()
    d, needed = load(), ECGS/(MINUTES*60)
    image = image_bytes(1, ECGToImages(), 'float16')
    modes = d.get('store', {}).get('ECGs a second, loader to images on the device', {})
    out = dict(gpu=gpu, steps_per_second=rate if gpu else None)
    out['arithmetic'] = [*lines,
        f'conversion in half precision: {image/1e6:.0f} MB an ECG written and read twice, {ECGS:,} x {3*image/1e6:.0f} MB / {GPU_BYTES/1e12} TB/s = {ECGS*3*image/GPU_BYTES:.0f} s of the epoch at least',
        *(f'stored {t} images: {needed:.0f} ECGs a second x {image_bytes(1, ECGToImages(), t)/1e6:.0f} MB = {needed*image_bytes(1, ECGToImages(), t)/1e9:.1f} GB/s from the disk, {ECGS*image_bytes(1, ECGToImages(), t)/1e12:.1f} TB on it' for t in STORAGE),
        f'signals: {needed:.0f} ECGs a second x {SIGNAL_BYTES/1e6:.2f} MB = {needed*SIGNAL_BYTES/1e9:.2f} GB/s, {ECGS*SIGNAL_BYTES/1e9:.0f} GB',
        *(f'{k}, loader to images on {d["store"]["about"]["machine"]["device"]} as measured: {ECGS:,} / {r} ECGs a second = {ECGS/r/3600:.1f} h' for k, r in modes.items())]
    return out

# ---- table

def load(): return json.loads(results.read_text()) if results.exists() else {}

def rows(d):
    "`(target, measured)`."
    c, g, e, s, v, p = (d.get(k) for k in ('convert', 'cuda', 'embed', 'store', 'voltage', 'epoch'))
    for preset in PRESETS if c else ():
        o = c[preset]
        yield f'conversion, {preset}: at least 25 times pyts', f'{o["times_pyts"]} times ({o["ms"]["pyts"]} ms an ECG, {o["ms"]["numba"]} ms); one thread each {o["times_pyts_one_thread"]} times'
        yield f'conversion, {preset}: differs from pyts as the torch path does', '; '.join(f'{b}: at most {max(a["gramian"], a["transitions"]):.0e}, pixels beyond 5e-5 {a["share_beyond_5e5"]:.0e}' for b, a in o['agreement'].items())
    if c:
        yield 'compiled code is cached', f'first images after {c["first images, s"]["compiling"]} s, after {c["first images, s"]["from_cache"]} s from the cache'
    if c or g:
        on_gpu = ', '.join(f'{name} {t["float16"]} ms an ECG in half precision, {t["float32"]} in single' for name, t in g.items() if name in PRESETS) + f' ({g["about"]["machine"]["device"]})' if g else 'unmeasured: no GPU was there'
        yield 'conversion on a GPU', on_gpu
        yield 'conversion on a GPU: at most 2 % of the training step', share_of_step(g, p)
    if e:
        for k, o in e['demo, ms an ECG'].items(): yield f'demo, forward and backward of the {k}', ', '.join(f'{w} {t} ms' for w, t in o.items())
        for k, o in e.items():
            if k.startswith('Gramian'): yield f'{k}: rank two instead of images', f'{o["rank_two"]} ms, from written patches {o["written"]} ms'
    if s:
        for k, r in s['ECGs a second, loader to images on the device'].items(): yield f'ECGs a second, {k}', f'{r}; {s["bytes an ECG"][k.split(", ")[0] if "," in k and k.split(", ")[0] in s["bytes an ECG"] else k]/1e6:.2f} MB an ECG'
        for k, o in s['choice'].items(): yield f'automatic choice, {k}', f'{o["mode"]}: {o["why"]}'
    if v:
        yield f'hypertrophy ({v["hypertrophy"]}) or normal ({v["normal"]}), {v["source"]}: Sokolow-Lyon voltage', f'area {v["Sokolow-Lyon voltage"]["area"]}, 95 % {v["Sokolow-Lyon voltage"]["interval"]}'
        for preset in PRESETS: yield f'  linear classifier on {preset} images', f'area {v[preset]["area"]}, 95 % {v[preset]["interval"]}; variance of a known gain found {v[preset]["variance_of_gain_found"]}; score of normal records scaled {v[preset]["score_of_normal_records_scaled"]}'
    for line in p['arithmetic'] if p else (): yield f'an epoch of MIMIC-IV-ECG in {MINUTES} minutes', line
    if p and not p['steps_per_second']: yield f'an epoch of MIMIC-IV-ECG in {MINUTES} minutes', 'unmeasured: no training step on a GPU is known (benchmarks/encoders.py --device cuda)'

def share_of_step(g, p):
    if not g or not (p or {}).get('steps_per_second') or p['gpu'] != g['about']['machine']['device']: return 'unmeasured: needs the conversion and the training step on one GPU'
    return f'{g["published"]["float16"]/1e3*p["steps_per_second"]:.1%}'

SECTIONS = dict(convert=convert, cuda=convert_cuda, embed=embed, store=store, voltage=voltage, epoch=epoch)

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('sections', nargs='*', help=f'of {", ".join(SECTIONS)}; nothing means all')
    p.add_argument('--data', type=Path)
    p.add_argument('--device', type=torch.device, default=torch.device('cpu'))
    p.add_argument('--repeats', type=int, default=7)
    p.add_argument('--records', type=int, default=24, help='records of the data modes')
    p.add_argument('--scratch', help='a folder for stored images, on the disk to be measured')
    p.add_argument('--note', default='', help='a word on the circumstances, kept with the figures')
    args = p.parse_args()
    for o in args.sections:
        if o not in SECTIONS: p.error(f'no section is called {o!r}')
    d = load()
    about = dict(date=str(datetime.date.today()), machine=machine(args.device), note=args.note)
    for name in args.sections or [o for o in SECTIONS if o != 'cuda' or args.device.type == 'cuda']:
        key = 'voltage with data' if name == 'voltage' and args.data else name
        d[key] = SECTIONS[name](args) | dict(about=about)
        results.write_text(json.dumps(d, indent=1, ensure_ascii=False) + '\n', encoding='utf-8')
    shown = list(rows(d)) + [('voltage, larger data: ' + a, b) for a, b in rows({'voltage': d.get('voltage with data')})]
    width = max(len(a) for a, _ in shown)
    for a, b in shown: print(f'{a:<{width}}  {b}')

if __name__ == '__main__': main()
