"""Large batches: memory and exactness of the gradient cache, and what processes exchange.

    python benchmarks/batch.py memory                       # bytes that autograd keeps (CPU) or the allocator's peak (--device cuda), at batch 1024
    python benchmarks/batch.py exact                        # gradients of cached and plain steps, for both kinds of loss, several batches and micro-batches, in float32 and float64
    torchrun --nproc-per-node 2 benchmarks/batch.py gather  # seconds of gathering embeddings and of averaging gradients; on several nodes as torchrun starts there

Results go to benchmarks/results/batch.json, with the machine they were taken on."""
import argparse, datetime, json, os, platform, sys, time, warnings
from contextlib import nullcontext
from itertools import product
from pathlib import Path
from types import SimpleNamespace

warnings.filterwarnings('ignore')
import torch
from fastai.callback.core import Callback
from fastai.callback.progress import ProgressCallback
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.learner import Learner, Recorder

from ecgclip.distributed import gather, join_processes, leave_processes, n_processes, process_rank
from ecgclip.encoders import create_encoder
from ecgclip.gradient_cache import GradientCache, SavedBytes, random_state
from ecgclip.loss import ContrastiveLoss
from ecgclip.losses import SigLIPLoss
from ecgclip.model import ECGCLIP
from ecgclip.text import small_text_encoder

RESULTS = Path(__file__).parent/'results'/'batch.json'
REPORTS = ['窦性心律，正常心电图。', '心房颤动，ST段压低。', '完全性右束支传导阻滞，电轴右偏，V1导联呈rsR型。']
LOSSES = dict(infonce=ContrastiveLoss, siglip=SigLIPLoss)   # at a batch of one InfoNCE has no gradient at all, SigLIP has

class Spy(Callback):
    "Gradients of the step."
    order = 120
    def before_step(self): self.learn.grads = {k: p.grad.clone() for k, p in self.model.named_parameters() if p.grad is not None}

class Split(Callback):
    "The peak until the gradients of the embeddings are there, which is the loss's, and that of the second pass, which is the towers'."
    order = GradientCache.order - 1
    def __init__(self, meter): self.meter = meter
    def after_backward(self): self.loss_part = self.meter.lap()

class Meter(SavedBytes):
    "Peak bytes since the last `lap`: of what autograd keeps, or of the allocator."
    def __init__(self, model, cuda):
        super().__init__(model)
        self.cuda = cuda

    def lap(self):
        peak = torch.cuda.max_memory_allocated() if self.cuda else self.peak
        if self.cuda: torch.cuda.reset_peak_memory_stats()
        self.peak = self.now
        return peak

def two_towers(encoder, loss, dtype):
    "Towers without dropout and the tokenizer's model; in float64 all behind the conversion of the signal calculates in it."
    torch.manual_seed(0)
    text = small_text_encoder(REPORTS, dim=32, layers=1, heads=2, dropout=0.)
    model = ECGCLIP(create_encoder(encoder), text, bias=-10. if loss == 'siglip' else None).to(dtype)
    for m in model.modules():
        if isinstance(m, torch.nn.Dropout): m.p = 0.
        if isinstance(m, torch.nn.Conv1d): m.register_forward_pre_hook(lambda m, args: tuple(o.to(m.weight.dtype) for o in args))
    return model, text

def step(encoder, n, micro, device, loss='infonce', dtype=torch.float32):
    """One training step of `n` pairs without dropout: gradients, bytes of the signals, processor seconds (which other work on the machine does not lengthen), peak bytes of the whole
    and, with a micro-batch, of the loss and of the towers."""
    model, text = two_towers(encoder, loss, dtype)
    tokens, signals = text.tokenize([REPORTS[i % 3] for i in range(n)]), torch.randn(n, 12, 5000)
    rows = [(x, {k: v[i] for k, v in tokens.items()}, torch.tensor([i, i])) for i, x in enumerate(signals)]
    dls = DataLoaders(DataLoader(rows, bs=n), DataLoader(rows[:1], bs=1), device=device)
    dls.n_inp, cuda = 2, torch.device(device).type == 'cuda'
    meter = Meter(model, cuda)
    learn = Learner(dls, model.to(device), LOSSES[loss](model), lr=1e-4, cbs=[Spy(), *([GradientCache(micro), Split(meter)] if micro else [])])
    learn.remove_cbs([ProgressCallback, Recorder])   # the recorder averages in float32
    meter.lap()
    began = time.process_time()
    with learn.no_logging(), (nullcontext() if cuda else meter): learn.fit(1)   # its hooks would keep tensors that the allocator counts
    found = SimpleNamespace(grads=learn.grads, signals=signals.numel()*4, seconds=time.process_time() - began, peak=meter.lap())
    if micro:
        found.loss, found.waiting = learn.split.loss_part, waiting_bytes(n, model)
        found.towers = found.peak - cuda*found.waiting
        found.peak = max(found.loss, found.towers + found.waiting)
    return found

def waiting_bytes(n, model):
    "Both embeddings of all pairs and their gradients, float32, which wait while the towers run again: the allocator counts them, autograd does not."
    return 2*2*n*model.embed_dim*4

def state_bytes():
    "The generators' states of one micro-batch, in the processor's memory whatever the device."
    _, cpu, _, numpy, python = random_state()
    return cpu.numel() + numpy[1].nbytes + sys.getsizeof(python[1]) + sum(map(sys.getsizeof, python[1]))

def memory(a):
    "Peak of a large batch in micro-batches of 5 beside a plain step of 5, and beside plain steps of more."
    out, cuda = [], torch.device(a.device).type == 'cuda'
    for encoder, n in a.sizes:
        five, many = step(encoder, 5, None, a.device), step(encoder, n, 5, a.device)
        alone = five.peak - cuda*five.signals         # without the signals, which the allocator counts and autograd does not
        rest = lambda peak: peak - cuda*many.signals
        row = dict(encoder=encoder, batch=n, micro_batch=5, plain_5=alone, peak=rest(many.peak), loss_part=rest(many.loss), towers_part=rest(many.towers), embeddings_waiting=many.waiting, signals=many.signals,
                   with_signals=round((rest(many.peak) + many.signals)/(alone + many.signals), 4), without_signals=round(rest(many.peak)/alone, 4), towers_alone=round(rest(many.towers)/alone, 4),
                   generator_states=-(-n//5)*state_bytes(), processor_seconds=round(many.seconds, 1), plain={})
        for k in (64, n):
            if alone/5*k > a.plain_gib*2**30: continue
            plain = step(encoder, k, None, a.device)
            row['plain'][k] = dict(peak=plain.peak - cuda*plain.signals, ratio=round((plain.peak - cuda*plain.signals)/alone, 1))
        out.append(row)
        print(row, flush=True)
    return dict(measure='peak of the allocator' if cuda else 'bytes of tensors that autograd keeps, parameters left out', promised=1.2, steps=out)

def exact(a):
    """Largest difference between plain and cached gradients, beside the largest gradient, in float32 and in float64. Rounding depends on the size of a micro-batch; where a tower has ReLUs,
    an activation within rounding of zero may pass in one and not in the other, which moves the gradients of its channel by more than rounding. In float64 no activation comes so near. A row is `kept`
    where the difference itself, whatever the size of the gradients, is as small as promised; it is `vacuous` where there is no gradient at all."""
    out, encoder = [], a.encoders.split(',')[0]
    for dtype, promised in [o for o in ((torch.float32, 1e-5), (torch.float64, 1e-10)) if str(o[0])[6:] in a.dtypes.split(',')]:
        for loss, n in product(LOSSES, (1, 2, 7, 64)):
            plain = step(encoder, n, None, a.device, loss, dtype).grads
            for micro in (1, 3, 5, 64):
                cached = step(encoder, n, micro, a.device, loss, dtype).grads
                row = dict(dtype=str(dtype)[6:], loss=loss, batch=n, micro_batch=micro, difference=max((plain[k] - cached[k]).abs().max().item() for k in plain), largest_gradient=max(g.abs().max().item() for g in plain.values()))
                assert plain.keys() == cached.keys()
                out.append(dict(row, relative=row['difference']/max(row['largest_gradient'], 1e-12), promised=promised, kept=row['difference'] <= promised, vacuous=row['largest_gradient'] == 0))
                print(out[-1], flush=True)
    of = lambda d: [o for o in out if o['dtype'] == d]
    return dict(encoder=encoder, missed=sum(not o['kept'] for o in out), largest={d: max(o['difference'] for o in of(d)) for d in a.dtypes.split(',')}, steps=out)

def seconds(f, n=10):
    "Median seconds of a call that all processes make together."
    f()
    found = []
    for _ in range(n):
        if n_processes() > 1: torch.distributed.barrier()
        began = time.perf_counter()
        f()
        if torch.cuda.is_available(): torch.cuda.synchronize()
        found.append(time.perf_counter() - began)
    return sorted(found)[n//2]

def exchange(a):
    "What a step sends: embeddings of all pairs and their gradients, and the gradients of the weights."
    device = join_processes(a.device)
    out = dict(processes=n_processes(), gather=[], average=[])
    for n in (64, 256, 1024, 4096):
        x = torch.randn(n//n_processes(), 256, device=device, requires_grad=True)
        t = seconds(lambda: gather(x).sum().backward())
        out['gather'].append(dict(batch=n, bytes=n*256*4, seconds=t))
    for m in (1, 10, 50):
        g = torch.zeros(m*10**6, device=device)
        t = seconds(lambda: torch.distributed.all_reduce(g) if n_processes() > 1 else None, 5)
        out['average'].append(dict(parameters=m*10**6, bytes=4*m*10**6, seconds=t))
    if not process_rank(): print(json.dumps(out), flush=True)
    first = not process_rank()
    leave_processes()
    return out if first else None

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('what', choices=('memory', 'exact', 'gather'))
    p.add_argument('--device', default='cpu')
    p.add_argument('--batch', type=int, default=1024, help='of the small encoders in `memory`')
    p.add_argument('--encoders', default='resnet1d_tiny', help='with commas; `exact` takes one')
    p.add_argument('--dtypes', default='float32,float64', help='of `exact`, with commas')
    p.add_argument('--plain-gib', type=float, default=2., help='plain steps that would keep more are left out of `memory` (default: %(default)s)')
    a = p.parse_args()
    a.sizes = [(e, a.batch) for e in a.encoders.split(',')]
    found = dict(memory=memory, exact=exact, gather=exchange)[a.what](a)
    if found is None: return
    done = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    name = torch.cuda.get_device_name() if torch.device(a.device).type == 'cuda' else platform.processor() or platform.machine()
    done[a.what + (f' {a.encoders}' if a.what == 'exact' else '') + ('' if a.device == 'cpu' else f' on {a.device}')] = dict(found, machine=f'{name}, {os.cpu_count()} CPUs, torch {torch.__version__}', date=str(datetime.date.today()))
    tmp = RESULTS.with_name('.batch.json.new')
    tmp.write_text(json.dumps(done, indent=1) + '\n')
    os.replace(tmp, RESULTS)

if __name__ == '__main__': main()
