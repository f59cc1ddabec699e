"""Language codes, and the language of a text."""

from __future__ import annotations

import functools
import re
from typing import Any

MIN_WORDS_TO_DETECT = 20
MIN_LANGUAGE_PROBABILITY = 0.8  # twenty words of real captions reach 0.83, lists of names 0.5
MAX_CHARACTERS_TO_DETECT = 20_000

# ISO 639: two letters, then three-letter codes of the same language. "ii" (Sichuan Yi) is left out: it numbers parts.
LANGUAGE_CODES = """
aa aar,ab abk,ae ave,af afr,ak aka,am amh,an arg,ar ara,as asm,av ava,ay aym,az aze,ba bak,be bel,bg bul,bi bis,bm bam,
bn ben,bo bod tib,br bre,bs bos,ca cat,ce che,ch cha,co cos,cr cre,cs ces cze,cu chu,cv chv,cy cym wel,da dan,
de deu ger,dv div,dz dzo,ee ewe,el ell gre,en eng,eo epo,es spa,et est,eu eus baq,fa fas per,ff ful,fi fin,fj fij,
fo fao,fr fra fre,fy fry,ga gle,gd gla,gl glg,gn grn,gu guj,gv glv,ha hau,he heb iw,hi hin,ho hmo,hr hrv,ht hat,hu hun,
hy hye arm,hz her,ia ina,id ind,ie ile,ig ibo,ik ipk,io ido,is isl ice,it ita,iu iku,ja jpn,jv jav,ka kat geo,kg kon,
ki kik,kj kua,kk kaz,kl kal,km khm,kn kan,ko kor,kr kau,ks kas,ku kur,kv kom,kw cor,ky kir,la lat,lb ltz,lg lug,li lim,
ln lin,lo lao,lt lit,lu lub,lv lav,mg mlg,mh mah,mi mri mao,mk mkd mac,ml mal,mn mon,mr mar,ms msa may,mt mlt,
my mya bur,na nau,nb nob,nd nde,ne nep,ng ndo,nl nld dut,nn nno,no nor,nr nbl,nv nav,ny nya,oc oci,oj oji,om orm,
or ori,os oss,pa pan,pi pli,pl pol,ps pus,pt por,qu que,rm roh,rn run,ro ron rum,ru rus,rw kin,sa san,sc srd,sd snd,
se sme,sg sag,sh hbs,si sin,sk slk slo,sl slv,sm smo,sn sna,so som,sq sqi alb,sr srp,ss ssw,st sot,su sun,sv swe,
sw swa,ta tam,te tel,tg tgk,th tha,ti tir,tk tuk,tl tgl,tn tsn,to ton,tr tur,ts tso,tt tat,tw twi,ty tah,ug uig,uk ukr,
ur urd,uz uzb,ve ven,vi vie,vo vol,wa wln,wo wol,xh xho,yi yid,yo yor,za zha,zh zho chi cmn,zu zul,ceb,fil,haw,yue
"""

LANGUAGE_TAG = re.compile(r"([a-z]{2,3})(?:[-_](?:[a-z]{2}|\d{3}|hans|hant|latn|cyrl|arab|orig))*", re.IGNORECASE)
WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|\w+")  # Chinese and Japanese write no spaces: a character is a word


def short_language(tag: str | None) -> str | None:
    """The two-letter code of a language tag (`pt-BR` pt, `ger` de), three letters where it has none, else None."""
    match = LANGUAGE_TAG.fullmatch(tag or "")
    return _language_codes().get(match[1].lower()) if match else None


def detect_language(text: str) -> str | None:
    """The language of a text, or None when it is too short or too mixed to tell.

    The first call of a process takes up to 1 s and 90 MB to load the model; later ones 2 ms.
    """
    sample = text[:MAX_CHARACTERS_TO_DETECT]
    if len(WORD.findall(sample)) < MIN_WORDS_TO_DETECT:
        return None
    language, probability = _language_identifier().classify(sample)
    return short_language(language) if probability >= MIN_LANGUAGE_PROBABILITY else None


@functools.cache
def _language_identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


@functools.cache
def _language_codes() -> dict[str, str]:
    return {code: entry.split()[0] for entry in LANGUAGE_CODES.split(",") for code in entry.split()}
