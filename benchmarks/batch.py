"""Large batches: memory and exactness of the gradient cache, and what processes exchange.

    python benchmarks/batch.py memory                       # bytes that autograd keeps (CPU) or the allocator's peak (--device cuda), at batch 1024
    python benchmarks/batch.py exact                        # gradients of cached and plain steps, for several batches and micro-batches
    torchrun --nproc-per-node 2 benchmarks/batch.py gather  # seconds of gathering embeddings and of averaging gradients; on several nodes as torchrun starts there

Results go to benchmarks/results/batch.json, with the machine they were taken on."""
import argparse, datetime, json, os, platform, time, warnings
from pathlib import Path

warnings.filterwarnings('ignore')
import torch
from fastai.callback.core import Callback
from fastai.callback.progress import ProgressCallback
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.learner import Learner

from ecgclip.distributed import gather, join_processes, leave_processes, n_processes, process_rank
from ecgclip.encoders import create_encoder
from ecgclip.gradient_cache import GradientCache, SavedBytes
from ecgclip.loss import ContrastiveLoss
from ecgclip.model import ECGCLIP
from ecgclip.text import small_text_encoder

RESULTS = Path(__file__).parent/'results'/'batch.json'
REPORTS = ['窦性心律，正常心电图。', '心房颤动，ST段压低。', '完全性右束支传导阻滞，电轴右偏，V1导联呈rsR型。']

class Spy(Callback):
    "Gradients of the step."
    order = 120
    def before_step(self): self.learn.grads = {k: p.grad.clone() for k, p in self.model.named_parameters() if p.grad is not None}

def step(encoder, n, micro, device, seed=0):
    "One training step of `n` pairs without dropout; gradients, peak bytes, bytes of the signals, processor seconds (which other work on the machine does not lengthen)."
    torch.manual_seed(seed)
    text = small_text_encoder(REPORTS, dim=32, layers=1, heads=2, dropout=0.)
    model = ECGCLIP(create_encoder(encoder), text)
    for m in model.modules():
        if isinstance(m, torch.nn.Dropout): m.p = 0.
    tokens, signals = text.tokenize([REPORTS[i % 3] for i in range(n)]), torch.randn(n, 12, 5000)
    rows = [(x, {k: v[i] for k, v in tokens.items()}, torch.tensor([i, i])) for i, x in enumerate(signals)]
    dls = DataLoaders(DataLoader(rows, bs=n), DataLoader(rows[:1], bs=1), device=device)
    dls.n_inp = 2
    learn = Learner(dls, model.to(device), ContrastiveLoss(model), lr=1e-4, cbs=[Spy(), *([GradientCache(micro)] if micro else [])])
    learn.remove_cb(ProgressCallback)
    cuda = torch.device(device).type == 'cuda'
    if cuda: torch.cuda.reset_peak_memory_stats()
    began = time.process_time()
    with learn.no_logging(), SavedBytes(model) as kept: learn.fit(1)
    peak = torch.cuda.max_memory_allocated() if cuda else kept.peak
    return learn.grads, peak, signals.numel()*4, time.process_time() - began

def memory(a):
    "Peak of a large batch in micro-batches of 5, beside a plain step of 5."
    out = []
    for encoder, n in a.sizes:
        _, five, _, _ = step(encoder, 5, None, a.device)
        _, many, signals, busy = step(encoder, n, 5, a.device)
        out.append(dict(encoder=encoder, batch=n, micro_batch=5, peak_of_5=five, peak=many, signals=signals, ratio=round(many/(five + signals), 4), loss_bytes=4*n*n, processor_seconds=round(busy, 1)))
        print(out[-1], flush=True)
    return dict(measure='peak of the allocator' if torch.device(a.device).type == 'cuda' else 'bytes of tensors that autograd keeps, parameters left out', steps=out)

def exact(a):
    """Largest difference between plain and cached gradients, beside the largest gradient. Rounding depends on the size of a micro-batch; where a tower has ReLUs,
    an activation within rounding of zero may pass in one and not in the other, which moves the gradients of its channel by more than rounding."""
    out, encoder = [], a.encoders.split(',')[0]
    for n in (1, 2, 7, 64):
        plain = step(encoder, n, None, a.device)[0]
        for micro in (1, 3, 5, 64):
            cached = step(encoder, n, micro, a.device)[0]
            out.append(dict(batch=n, micro_batch=micro, difference=max((plain[k] - cached[k]).abs().max().item() for k in plain), largest_gradient=max(g.abs().max().item() for g in plain.values())))
            out[-1]['relative'] = out[-1]['difference']/max(out[-1]['largest_gradient'], 1e-12)
            print(out[-1], flush=True)
    return dict(encoder=encoder, largest_relative=max(o['relative'] for o in out), steps=out)

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
