"""Draw the picture at the head of README.md and README.zh-CN.md: what `load_pretrained('demo')` says of real ECGs of the embedded sample.

    python tools/make_hero.py

Writes nbs/images/hero.png and nbs/images/hero.zh-CN.png. Every bar and hit is what the model gives; the query ECG and the query words were chosen."""
import os
os.environ.setdefault('MPLBACKEND', 'Agg')
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.patches import FancyBboxPatch

from ecgclip.core import LEADS, ecg_sheet, plot_ecg, use_chinese_font, wrap_text
from ecgclip.data import sample_data
from ecgclip.evaluation import embed_ecgs, embed_texts
from ecgclip.interpret import best_ecgs, judge
from ecgclip.learner import load_pretrained

images = Path(__file__).resolve().parent.parent/'nbs'/'images'
ECG, QUERY, LEAD = '00321_hr', '完全性右束支传导阻滞', 'V1'
PHRASES = {'心房颤动': 'atrial fibrillation', '左束支传导阻滞': 'left bundle branch block', '窦性心动过速': 'sinus tachycardia', '左心室肥大': 'left ventricular hypertrophy',
           '右束支传导阻滞': 'right bundle branch block', '正常心电图': 'normal ECG'}
WORDS = dict(
    en=dict(ecg='An ECG', ask='asks for words', bars='cosine of the ECG and each phrase', text='Words', find='ask for ECGs', hits='complete right bundle branch block', report='its report, written from its codes',
            foot=f'Real ECGs of the test split, a model trained on simulated pairs alone. ✓ the report bears the query out   ◐ in part   lead {LEAD} of the best three of {{n}}'),
    zh=dict(ecg='用心电图', ask='找文字', bars='心电图与各短语的余弦相似度', text='用文字', find='找心电图', hits='', report='由诊断编码生成的报告',
            foot=f'测试集中的真实心电图；模型只用模拟数据训练。✓ 报告完全支持查询   ◐ 部分支持   图为 {{n}} 份中最相近三份的 {LEAD} 导联'))
INK, SOFT, RIGHT, PARTLY, OTHER, GRID = '#1f2328', '#59636e', '#1b7f3b', '#a86200', '#9aa4b2', '#f2b8b5'
W, H = 12., 6.9   # inches
MARK = {True: ('✓', RIGHT), 'partly': ('◐', PARTLY), False: ('✗', '#b3261e'), None: ('', SOFT)}

def card(fig):
    "White paper with round corners, so that the picture reads on a dark page too."
    ax = fig.add_axes([0, 0, 1, 1]); ax.set(xlim=(0, W), ylim=(0, H)); ax.set_axis_off()
    ax.add_patch(FancyBboxPatch((.06, .06), W - .12, H - .12, boxstyle='round,pad=0,rounding_size=.18', fc='white', ec='#d1d9e0', lw=1.2))
    return ax

def sheet(fig, ecg, x, top, width, **kwargs):
    "An ECG on the clinical grid, `width` inches wide, under `top`. Returns its height."
    s = ecg_sheet(ecg, **kwargs)
    h = width*s.height/s.width
    plot_ecg(ecg, ax=fig.add_axes([x/W, (top - h)/H, width/W, h/H]), **kwargs)
    return h

def strip(fig, mv, x, y, width, height, seconds=4.):
    "One lead on the grid, true in proportion: 25 mm/s, 10 mm/mV."
    ax = fig.add_axes([x/W, y/H, width/W, height/H])
    mm, tall = seconds*25, seconds*25*height/width
    ax.set(xlim=(0, mm), ylim=(-tall/2, tall/2)); ax.set_axis_off()
    for step, lw in ((1, .25), (5, .7)):   # a line each mm, a thick one every five
        for v in range(0, int(mm) + 1, step): ax.axvline(v, color=GRID, lw=lw, zorder=.5)
        for v in range(0, int(tall/2) + 1, step): ax.axhline(v, color=GRID, lw=lw, zorder=.5); ax.axhline(-v, color=GRID, lw=lw, zorder=.5)
    seen = mv[:int(seconds*500)]
    ax.plot([i/500*25 for i in range(len(seen))], (seen - (seen.max() + seen.min())/2)*10, color=INK, lw=1.1)

def beside(text, more, gap=8, **kwargs):
    "More text right of a text, on its line."
    return text.axes.annotate(more, (1, 0), (gap, 0), xycoords=text, textcoords='offset points', **{'color': SOFT, 'va': 'bottom', **kwargs})

def bars(fig, scores, report, zh, x, y, width, height):
    "What each phrase scores; those that the ECG's report states are green."
    order = sorted(scores, key=scores.get, reverse=True)
    ax = fig.add_axes([x/W, y/H, width/W, height/H])
    for i, k in enumerate(order):
        ax.barh(i, max(scores[k], 0), color=RIGHT if judge(k, report) is True else OTHER, height=.34)
        name = ax.text(0, i - .28, k, va='bottom', size=12.5, color=INK)
        if not zh: beside(name, PHRASES[k], size=10)
        ax.text(max(scores[k], 0) + .012, i, f'{scores[k]:.2f}', va='center', size=10.5, color=RIGHT if judge(k, report) is True else SOFT)
    ax.set(xlim=(0, .75), ylim=(len(order) - .6, -.75)); ax.set_axis_off()

def draw(lang, model, data, path):
    words, zh = WORDS[lang], lang == 'zh'
    i = data.df.record.tolist().index(ECG)
    ecgs = embed_ecgs(model, data)
    scores = dict(zip(PHRASES, (ecgs[i] @ embed_texts(model, list(PHRASES)).T).tolist()))
    with use_chinese_font():
        fig = plt.figure(figsize=(W, H))
        page = card(fig)
        def head(y, first, then): beside(page.text(.35, y, first, size=16, weight='bold', color=INK), then + '  →', size=16)
        head(6.43, words['ecg'], words['ask'])
        h = sheet(fig, data.ecg(i), .35, 6.28, 6.9, rhythm=None)
        beside(page.text(.37, 6.28 - h - .44, data.reports[i], size=13, color=INK), words['report'], size=9.5)
        page.text(7.6, 6.43, words['bars'], size=10.5, color=SOFT)
        bars(fig, scores, data.reports[i], zh, 7.6, 6.28 - h - .2, 4.1, h + .2)
        page.plot([.35, W - .35], [2.24]*2, color='#d1d9e0', lw=1)
        head(1.76, words['text'], words['find'])
        page.add_patch(FancyBboxPatch((3.1, 1.72), 6. if not zh else 2.8, .34, boxstyle='round,pad=0,rounding_size=.17', fc='#f6f8fa', ec='#8c959f', lw=1))
        beside(page.text(3.3, 1.83, QUERY, size=13, color=INK), words['hits'], size=10)
        each = (W - .7 - .5)/3
        for n, hit in enumerate(best_ecgs(model, data, QUERY, 3, ecgs)):
            mark, color = MARK[hit.right]; x = .35 + n*(each + .25)
            strip(fig, data.ecg(hit.row)[LEADS.index(LEAD)], x, .72, each, .9)
            page.text(x, .66, wrap_text(f'{mark} {hit.score:.2f}  {hit.report}', 50), size=10, color=color, va='top', linespacing=1.15)   # a long report takes two lines
        page.text(.35, .2, words['foot'].format(n=len(data)), size=9.5, color=SOFT, va='center')
        fig.savefig(path, dpi=150, transparent=True)
        plt.close(fig)

def main():
    model, data = load_pretrained('demo'), sample_data('test')
    for lang, name in (('en', 'hero.png'), ('zh', 'hero.zh-CN.png')): draw(lang, model, data, images/name)

if __name__ == '__main__': main()
