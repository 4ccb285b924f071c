"""The TimeSformer beside timesformer-pytorch, with the same weights in one process; all encoders; an epoch of MIMIC-IV-ECG, projected.

    python benchmarks/encoders.py [--device cpu] [--batch 1] [--repeats 5] [--threads N] [--compile] [--targets] [--quick]

Prints each target beside what was measured, "unmeasured" where the machine has no GPU, and writes benchmarks/results/encoders.json, on a GPU
encoders_cuda.json, so that the figures of both stay.
Both models take turns, and the fastest of the repeats counts: on a busy machine the ratio is worth more than the times."""
import argparse, datetime, json, os, platform, time, warnings, weakref
from pathlib import Path

root = Path(__file__).resolve().parent.parent
warnings.simplefilter('ignore', SyntaxWarning)   # timesformer-pytorch compares an int with `is`

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ecgclip.encoders import count_flops, create_encoder, list_encoders
from ecgclip.timesformer import PatchEmbedding, TimeSformer

PUBLISHED = dict(dim=192, depth=8, heads=8, dim_head=24)
FRAMES, SIDE, PATCH, CHANNELS = 50, 10, 10, 36
N_ECGS = 745_405                                            # training ECGs of MIMIC-IV-ECG in the published split
# one H200: dense bf16 tensor cores, memory bandwidth (maker's data sheet)
H200 = dict(name='H200', flops=989e12, bytes=4.8e12)
AIM_MINUTES = 15

# ---- the two models

def reference():
    from timesformer_pytorch import TimeSformer as Reference
    return Reference(num_frames=FRAMES, num_classes=PUBLISHED['dim'], image_size=SIDE*PATCH, patch_size=PATCH, channels=CHANNELS, **PUBLISHED)

class Ours(torch.nn.Module):
    def __init__(self, **kwargs):
        super().__init__()
        self.net = TimeSformer(PatchEmbedding(PUBLISHED['dim'], PATCH, CHANNELS), PUBLISHED['dim'], FRAMES, SIDE, **{k: v for k, v in PUBLISHED.items() if k != 'dim'}, **kwargs)
    def forward(self, images): return self.net(self.net.to_patch_embedding(images))[0]

def pair(device):
    "The reference, this package, and this package with checkpointing: the same weights."
    torch.manual_seed(0)
    models = dict(reference=reference(), ours=Ours(), checkpointing=Ours(checkpointing=True))
    models['reference'].load_state_dict(models['ours'].net.to_reference())     # its classifier is then the identity
    models['checkpointing'].load_state_dict(models['ours'].state_dict())
    return {k: m.to(device) for k, m in models.items()}

def agreement(models, images):
    "Largest difference of outputs, and of gradients as a share of the largest gradient of each weight or of 1, in float32."
    out = {k: models[k](images) for k in ('reference', 'ours')}
    for k, o in out.items(): models[k].zero_grad(); (o*torch.linspace(-1, 1, o.numel(), device=o.device).view_as(o)).sum().backward()
    theirs = dict(models['reference'].named_parameters())
    grads = [(p.grad, theirs[n].grad) for n, p in models['ours'].net.named_parameters() if n in theirs]
    return dict(outputs=(out['ours'] - out['reference']).abs().max().item(), gradients=max(((a - b).abs().max()/max(1, b.abs().max())).item() for a, b in grads), weights=len(grads))

# ---- time and memory

def wait(device):
    if device.type == 'cuda': torch.cuda.synchronize()

def autocast(device, dtype): return torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32)

def forward(model, images, dtype):
    with torch.no_grad(), autocast(images.device, dtype): model(images)

def step(model, images, dtype):
    model.zero_grad()
    with autocast(images.device, dtype): loss = model(images).float().square().mean()
    loss.backward()

def in_turns(models, run, device, repeats):
    "Seconds of the fastest of some turns, for each model: by the clock, and of the processor."
    best, busy = {}, {}
    for i in range(repeats + 1):        # the first turn warms up
        for k, m in models.items():
            wait(device); start, used = time.perf_counter(), time.process_time()
            run(m); wait(device)
            if i: best[k], busy[k] = min(best.get(k, float('inf')), time.perf_counter() - start), min(busy.get(k, float('inf')), time.process_time() - used)
    return best, busy

class Memory(TorchDispatchMode):
    "The most bytes that live tensors hold at once, as their storages come and go."
    def __init__(self): super().__init__(); self.live, self.now, self.peak = {}, 0, 0
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for t in tree_leaves(out):
            if isinstance(t, torch.Tensor): self.see(t.untyped_storage())
        return out
    def see(self, s):
        key, n = s._cdata, s.nbytes()
        if key in self.live: return
        self.live[key] = n
        self.now += n
        self.peak = max(self.peak, self.now)
        weakref.finalize(s, self.gone, key)
    def gone(self, key): self.now -= self.live.pop(key, 0)

def peak_bytes(model, images, dtype):
    "Peak memory of a training step beyond weights and images: as the GPU reports it, else counted tensor by tensor."
    step(model, images, dtype)                   # gradients exist, as in training
    if images.is_cuda:
        torch.cuda.reset_peak_memory_stats(); before = torch.cuda.memory_allocated()
        step(model, images, dtype)
        return torch.cuda.max_memory_allocated() - before
    with Memory() as m: step(model, images, dtype)
    return m.peak

# ---- floor of an epoch

class Traffic(TorchDispatchMode):
    "Bytes that operations read and write: of all that touch numbers, and of products and attention alone."
    PRODUCTS = ('mm', 'addmm', 'bmm', 'baddbmm', 'convolution', '_scaled_dot_product')
    VIEWS = ('view', 'transpose', 'permute', 'expand', 'slice', 'select', 'unsqueeze', 'squeeze', 'alias', 'detach', 'as_strided', 'split', '_unsafe_view', '_reshape_alias', 'unbind', 'empty')
    def __init__(self): super().__init__(); self.all, self.products = 0, 0
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        name = func._schema.name.split('::')[1]
        if name == 't' or any(name.startswith(v) for v in self.VIEWS) and not name.endswith('backward'): return out
        n = sum(t.numel()*t.element_size() for t in tree_leaves((args, kwargs, out)) if isinstance(t, torch.Tensor))
        self.all += n
        if any(name.startswith(p) for p in self.PRODUCTS): self.products += n
        return out

def traffic(images):
    "Bytes that a training step in bfloat16 moves for one ECG."
    model = Ours().to(images.device)
    step(model, images[:1], torch.bfloat16)
    with Traffic() as t: step(model, images[:1], torch.bfloat16)
    return dict(all=t.all, products=t.products)

def epoch(flops, moved, seconds=None, gpu=''):
    "Lines of arithmetic of an epoch on one H200, and its numbers; with `seconds` an ECG of a model on a GPU, what they come to."
    train = 3*flops
    compute, products, everything = N_ECGS*train/H200['flops'], N_ECGS*moved['products']/H200['bytes'], N_ECGS*moved['all']/H200['bytes']
    minutes = lambda s: f'{s/60:.1f} min'
    lines = [
        f'{N_ECGS:,} ECGs; forward {flops/1e9:.1f} GFLOP an ECG (counted), forward and backward 3 x that = {train/1e12:.3f} TFLOP',
        f'arithmetic: {N_ECGS:,} x {train/1e12:.3f} TFLOP / {H200["flops"]/1e12:.0f} TFLOP/s (dense bf16) = {compute:.0f} s = {minutes(compute)} at 100 % of the peak, {minutes(compute/.4)} at 40 %',
        f'memory, if only products and attention touch it (all else fused): {N_ECGS:,} x {moved["products"]/1e9:.2f} GB / {H200["bytes"]/1e12:.1f} TB/s = {minutes(products)}',
        f'memory, if every operation does (not fused): {N_ECGS:,} x {moved["all"]/1e9:.2f} GB / {H200["bytes"]/1e12:.1f} TB/s = {minutes(everything)}',
        f'signals: {N_ECGS:,} x 0.12 MB (int16) = {N_ECGS*.12e6/1e9:.0f} GB over PCIe at 50 GB/s = {N_ECGS*.12e6/50e9:.0f} s, beside the arithmetic',
        f'aim: {AIM_MINUTES} min = {N_ECGS/AIM_MINUTES/60:.0f} ECGs a second = {AIM_MINUTES*60/N_ECGS*1000:.2f} ms an ECG',
        'what limits it: features of 192 and 24-channel heads keep products small, so bytes weigh more than arithmetic; attention pads heads of 24 to 32 and sequences of 50/51 and 100/101 to 64 and 128,',
        f'  which is {64*64*32/(50*51*24):.1f} and {128*128*32/(100*101*24):.1f} times its {2*2*192*5000*8*(51+101)/1e9:.1f} of {flops/1e9:.1f} GFLOP']
    out = dict(train_tflop=train/1e12, compute_s=compute, products_s=products, everything_s=everything, measured_s=None)
    if seconds:
        out['measured_s'] = N_ECGS*min(seconds.values())
        lines += [f'from measured speed on one {gpu}, {k}: {N_ECGS:,} / {1/t:.0f} ECGs a second = {minutes(N_ECGS*t)}' for k, t in seconds.items()]
    else: lines.append('from measured speed: unmeasured, no GPU here')
    return lines, out

def of_steps(numbers, batch):
    "Seconds an ECG of a training step, of this package's models."
    return {{'ours': 'as it is'}.get(k, k): t/batch for k, t in numbers['training step']['seconds'].items() if k != 'reference'}

# ---- the report

def processor():
    try: lines = Path('/proc/cpuinfo').read_text().splitlines()
    except OSError: return platform.processor()
    return next((l.split(':')[1].strip() for l in lines if l.startswith('model name')), platform.processor())

def machine(device):
    d = dict(processor=processor(), processors=os.cpu_count(), python=platform.python_version(), torch=torch.__version__, threads=torch.get_num_threads(), load=round(os.getloadavg()[0], 1) if hasattr(os, 'getloadavg') else None)
    return d | (dict(gpu=torch.cuda.get_device_name(device)) if device.type == 'cuda' else {})

def row(what, target, measured, met=None): return dict(what=what, target=target, measured=measured, met='' if met is None else 'yes' if met else 'no')

def show(rows):
    keys = ('what', 'target', 'measured', 'met')
    width = [max(len(k), *(len(r[k]) for r in rows)) for k in keys]
    for r in [dict(zip(keys, keys)), *rows]: print('  '.join(r[k].ljust(w) for k, w in zip(keys, width)).rstrip())

def agreement_rows(models, images):
    near = agreement(models, images[:1])
    names = dict(outputs='outputs agree, float32', gradients=f'gradients of {near["weights"]} weights agree, float32')
    return [row(name, '1e-5', f'{near[k]:.1e}', near[k] <= 1e-5) for k, name in names.items()], near

def time_row(what, target, k, t, busy, n, gpu):
    "One model beside the reference; on a CPU also by processor time, which other work on the machine disturbs less."
    ratio, ms = t['reference']/t[k], lambda k: f'{t[k]/n*1000:{".1f" if gpu else ".0f"}}'
    where = ('GPU, bf16' if gpu else 'CPU, float32') + (', compiled' if k == 'compiled' else '')
    by_processor = '' if gpu else f'; by processor time {busy["reference"]/busy[k]:.2f}'
    return row(f'{what}, {where}', f'{target:g} times as fast' if target > 1 else 'never slower', f'{ratio:.2f} times ({ms(k)} ms an ECG, {ms("reference")} the reference{by_processor})', ratio >= target)

def time_rows(models, images, a):
    gpu, rows, out = images.is_cuda, [], {}
    dtype = torch.bfloat16 if gpu else torch.float32
    for what, run, target in (('training step', step, 3. if gpu else 1.), ('forward without gradients', forward, 1.)):
        t, busy = in_turns(models, lambda m: run(m, images, dtype), images.device, a.repeats)
        out[what] = dict(seconds=t, processor_seconds=busy)
        rows += [time_row(what, target, k, t, busy, a.batch, gpu) for k in t if k != 'reference']
    return rows + ([] if gpu else [row('training step, GPU, bf16', '3 times as fast', 'unmeasured: no GPU here')]), out

def memory_rows(models, images, n):
    peak = {k: peak_bytes(m, images, torch.bfloat16) for k, m in models.items()}
    how, rows = 'GPU' if images.is_cuda else 'counted tensor by tensor on the CPU', []
    for k, name, target in (('ours', 'peak memory of a step, bf16', 2/3), ('checkpointing', 'the same with checkpointing', 1/5)):
        share = peak[k]/peak['reference']
        rows.append(row(f'{name} ({how})', f'at most {target:.2f}', f'{share:.2f} ({peak[k]/n/1e6:.0f} of {peak["reference"]/n/1e6:.0f} MB an ECG)', share <= target))
        if not images.is_cuda: rows.append(row(f'{name} (GPU)', f'at most {target:.2f}', 'unmeasured: no GPU here'))
    return rows, peak

def compare(device, a):
    "Rows of the table, the numbers behind them, and the images."
    models, images = pair(device), torch.rand(a.batch, FRAMES, CHANNELS, SIDE*PATCH, SIDE*PATCH, device=device)
    near, agree = agreement_rows(models, images)
    timed = {k: models[k] for k in ('reference', 'ours')}
    if a.compile:
        timed['compiled'] = Ours().to(device)
        timed['compiled'].load_state_dict(models['ours'].state_dict())
        timed['compiled'].net.compile_layers()
    times, t = time_rows(timed, images, a)
    memory, peak = memory_rows(models, images, a.batch)
    return near + times + memory, dict(agreement=agree, peak_bytes=peak, **t), images

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    p.add_argument('--batch', type=int, help='ECGs a step (default: 1 on a CPU, 32 on a GPU)')
    p.add_argument('--repeats', type=int, default=5)
    p.add_argument('--threads', type=int)
    p.add_argument('--compile', action='store_true', help='also with compiled layers')
    p.add_argument('--targets', action='store_true', help='leave out the list of all encoders')
    p.add_argument('--quick', action='store_true', help='one repeat, encoders not timed, nothing written')
    p.add_argument('--note', default='', help='a word on the circumstances, kept with the figures')
    a = p.parse_args()
    device = torch.device(a.device)
    if a.threads: torch.set_num_threads(a.threads)
    a.batch, a.repeats = a.batch or (32 if device.type == 'cuda' else 1), 1 if a.quick else a.repeats
    about = machine(device)
    print(', '.join(f'{k} {v}' for k, v in about.items()), f'; batch {a.batch}, best of {a.repeats}\n')
    rows, numbers, images = compare(device, a)
    show(rows)
    with torch.device('meta'): flops = count_flops(create_encoder('timesformer'))
    lines, projected = epoch(flops, traffic(images), *((of_steps(numbers, a.batch), about['gpu']) if images.is_cuda else ()))
    print('\nAn epoch of MIMIC-IV-ECG on one H200', *lines, sep='\n')
    df = list_encoders(measure=not a.quick, device=str(device)).df if not a.targets else None
    if df is not None: print('\nEncoders' + ('' if a.quick else ' (ms: an ECG from its signal, without gradients, one at a time)'), df.rename_axis(None).to_string(), sep='\n')
    if a.quick: return
    d = dict(date=str(datetime.date.today()), machine=about, note=a.note, batch=a.batch, repeats=a.repeats, targets=rows, numbers=numbers, epoch=dict(lines=lines, **projected), encoders=[] if df is None else df.reset_index().to_dict('records'))
    (root/'benchmarks'/'results'/f'encoders{"_cuda" if images.is_cuda else ""}.json').write_text(json.dumps(d, indent=1, ensure_ascii=False) + '\n', encoding='utf-8')

if __name__ == '__main__': main()
