"""Fit the hearts of healthy people to real ECGs: writes ecgclip/hearts/normal.csv.

    python tools/make_hearts.py --data DIR [--out FILE] [--half B]

DIR holds ptbxl/ (WFDB records and ptbxl_database.csv). Records coded NORM of the patients of one half (A unless asked otherwise; see benchmarks/simulation.py) are used, no others: their median
beat is fitted first, then each person's, with the former as prior. Hearts whose bundles are cut must also give the QRS of textbook blocks, which keeps the fit apart from
hearts that explain one beat only. Takes some minutes. (The table in the package was made by an earlier form of this script; a new run gives as many hearts, and means within 0.3
deviations, but other hearts for single people: a beat does not determine 96 parameters.)"""
import argparse, ast, csv, sys, zlib
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares
from scipy.signal import butter, find_peaks, sosfiltfilt

from ecgclip.data import read_ecg
from ecgclip.heart import QRS_LEAD, QRS_MS, STT_N, STT_STEP, activation, beat, lead_field, make_heart

root = Path(__file__).resolve().parent.parent
LEADS8 = [0, 1, 6, 7, 8, 9, 10, 11]
# name, how many, how far from zero a healthy heart may lie
PARAMETERS = [('area', 15, .22), ('grad', 15, 9.), ('apd', 15, 8.), ('site_t', 3, 4.), ('site_v', 4, .3), ('wall', 3, .15), ('beta', 1, .25), ('rot', 3, .08), ('pos', 3, .7), ('near', 1, .12),
              ('gain', 8, .12), ('early', 1, .2), ('late', 1, .2), ('dip', 1, .05), ('tilt', 1, .05), ('apd0', 1, 40.), ('width', 1, .3), ('t0', 1, 8.), ('scale', 1, .5), ('outer', 15, .02), ('slow', 1, .3),
              ('septal', 1, .3), ('across', 1, .2)]
SPREAD = np.concatenate([np.full(k, s) for _, k, s in PARAMETERS])
ENDS = np.cumsum([k for _, k, _ in PARAMETERS])
WHERE = {n: slice(e - k, e) for (n, k, _), e in zip(PARAMETERS, ENDS)}
# After the fit: amplitudes of chest leads in mean beats are lower than those of single beats, and the mean axis was a little too far to the left
CORRECTION = dict(gain=np.log([1.13, 1.13, 1.06, 1.2, 1.1, 1.1, 1.16, 1.18]), site_t=5., turn=.12)
MS = np.concatenate([np.arange(-60, 120, 2), np.arange(120, 480, 6)])               # where beat and model are compared, from the R peak
WEIGHT = np.where(MS < 120, 1., 1.6)*np.array([1.9, 1.9, 1.2, .8, .9, 1, 1, 1.2])[:, None]

# -- real beats --

def half(patient): return 'AB'[zlib.crc32(str(patient).encode()) % 2]

def median_beat(x):
    "Median beat `(12,500)` from 300 ms before the R peak, or nothing for fewer than three beats."
    y = sosfiltfilt(butter(2, [.4, 60], 'band', fs=500, output='sos'), x, axis=1)
    slope = np.sqrt((np.diff(sosfiltfilt(butter(2, [5, 25], 'band', fs=500, output='sos'), y, axis=1), axis=1)**2).sum(0))
    slope = np.convolve(slope, np.ones(40)/40, 'same')
    peaks, _ = find_peaks(slope, height=.35*np.percentile(slope, 98), distance=125)
    peaks = peaks[(peaks > 165) & (peaks < y.shape[1] - 365)]
    if len(peaks) < 3: return None
    first = np.median([y[:, k-150:k+350] for k in peaks], 0)
    def shift(k): return max(range(-12, 13), key=lambda s: (y[:, k+s-50:k+s+50]*first[:, 100:200]).sum())
    return np.median([y[:, k+s-150:k+s+350] for k in peaks for s in [shift(k)]], 0)

def healthy(data, which):
    "(patient, age, female, beat) of the normal ECGs of a half."
    with open(data/'ptbxl'/'ptbxl_database.csv', encoding='utf-8') as f: rows = list(csv.DictReader(f))
    for r in rows:
        patient, codes = int(float(r['patient_id'])), ast.literal_eval(r['scp_codes'])
        if 'NORM' not in codes or half(patient) != which or not r['age']: continue
        b = median_beat(np.asarray(read_ecg(data/'ptbxl'/r['filename_hr']), dtype=float)[:, :5000])
        if b is not None: yield patient, float(r['age']), int(r['sex']), b

def target(b):
    "A beat at `MS`, from the level before its QRS."
    b = b[LEADS8]
    b = b - b[:, 124:130].mean(1, keepdims=True)
    return np.array([np.interp(MS, (np.arange(500) - 150)*2, r) for r in b])

# -- the model --

def heart_of(z): return make_heart({n: (z*SPREAD)[s] for n, s in WHERE.items()})

def seen(heart, ms, without=()):
    "What I, II and V1 to V6 see of a beat `ms` after its onset, with some ends of the conduction system cut."
    if without: heart = type(heart)(**{**vars(heart), 'sites': {k: v for k, v in heart.sites.items() if k not in without}})
    up, rest, _ = beat(heart, lead_field(heart.place, heart.chest, heart.near)*heart.gain[:, None, None])
    return np.array([np.interp(ms, np.arange(STT_N)*STT_STEP - QRS_LEAD, r) + np.interp(ms, np.arange(QRS_MS) - QRS_LEAD, u, left=0, right=0) for u, r in zip(up, rest)])

def over(x): return np.maximum(x, 0)

MOST = dict(right=np.array([.7, 1.3, 1.3, 1.6, 1.8, 1.8, 1.6, 1.2]), left=np.array([1.2, 1., 1.6, 2.6, 2.4, 1.8, 1.8, 1.7]))   # mV that a block may reach in each lead
def textbook(heart):
    "What is wrong with the blocks that this heart would have: voltages beyond bounds, no late R in V1 or S in V6 (right), no broad R in V6 (left), no left axis (anterior)."
    ms = np.arange(-40, 400, 4.)
    right, left, front = seen(heart, ms, ('right',)), seen(heart, ms, ('septal', 'anterior', 'posterior')), seen(heart, ms, ('anterior',))
    late, early, third, total = (ms > 60) & (ms < 130), ms < 160, front[1] - front[0], activation(heart).max()
    wrong = [over(np.abs(m) - MOST[k][:, None]).ravel() for k, m in (('right', right), ('left', left))]
    wrong.append(over(np.array([.5 - right[2, late].max(), right[7, late].min() + .25, right[0, late].min() + .2, right[2, late].max() - 1.3])))
    wrong.append(over(np.array([left[2, early].max() - .15, .6 - left[7, early].max(), .5 - left[0, early].max(), left[2, early].min() + .7, -left[7, early].min() - .1, -left[0, early].min() - .1])))
    wrong.append(over(np.array([2*(front[1, :50].min() + .45), 2*(third[:50].min() + .8), .5 - front[0, :50].max(), front[1, :50].max() - .4])))
    return np.concatenate([*wrong, .1*over(np.array([total - 85, 58 - total]))])

def fit(b, start, steps, hold, blocks):
    "Parameters of the heart that gives beat `b`, near `start`, and the share of its power that is left over."
    y = target(b)
    def model(z): h = heart_of(z); return h, seen(h, MS + 40 + z[WHERE['t0']][0]*SPREAD[WHERE['t0']][0])
    def residual(z):
        h, m = model(z)
        return np.concatenate([((m - y)*WEIGHT).ravel(), hold*(z - start), blocks*textbook(h)])
    z = least_squares(residual, start, max_nfev=steps).x
    return z, ((model(z)[1] - y)**2).sum()/(y**2).sum()

def table(fits):
    "Rows of the file: mean, per decade from 50, female minus male, deviation, and each person's distance in deviations."
    z, x = np.array([f[2] for f in fits])*SPREAD, np.array([[1, (f[0] - 50)/10, f[1] - .5] for f in fits])
    mean = np.linalg.solve(x.T@x + np.diag([0, 8., 8.]), x.T@z)                     # few people: the slopes are held small
    rest = z - x@mean
    sd = rest.std(0)
    mean[0, WHERE['gain']] += CORRECTION['gain']; mean[0, WHERE['site_t']] += CORRECTION['site_t']; mean[0, WHERE['rot'].stop - 1] += CORRECTION['turn']
    for n, s in WHERE.items():
        for i, j in enumerate(range(s.start, s.stop)):
            if n != 't0': yield [f'{n} {i}', *(f'{v:.3g}' for v in (*mean[:, j], sd[j])), *(f'{v:.1f}' for v in rest[:, j]/sd[j])]

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--data', type=Path, required=True)
    p.add_argument('--out', type=Path, default=root/'ecgclip'/'hearts'/'normal.csv')
    p.add_argument('--half', choices=('A', 'B'), default='A', help='of the patients; B is for the crosswise figure')
    a = p.parse_args()
    people = list(healthy(a.data, a.half))
    if not people: sys.exit(f'{a.data}: no normal ECG of half {a.half}')
    middle, left = fit(np.median([b for *_, b in people], 0), np.zeros(ENDS[-1]), 100, .08, .5)
    print(f'{len(people)} people; the median beat leaves {left:.1%} of its power')
    fits = []
    for patient, age, female, b in people:
        z, left = fit(b, middle, 10, .09, .25)
        print(f'{patient}: {left:.1%}', flush=True)
        if left < .03: fits.append((age, female, z))
    with open(a.out, 'w', newline='') as f: csv.writer(f, lineterminator='\n').writerows([['parameter', 'mean', 'decade', 'female', 'sd', *range(len(fits))], *table(fits)])
    print(f'{len(fits)} hearts in {a.out}')

if __name__ == '__main__': main()
