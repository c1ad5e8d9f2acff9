"""Hard-wrapped prose is joined as it was before it was wrapped, and nothing else is touched."""

import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tfactors.text.wrapped_lines
from tfactors.text.wrapped_lines import join_wrapped_lines

ENGLISH = (
    "The old captain went to the river every morning and looked at the water, which flowed slowly "
    "past the town. He remembered the times when great ships came up from the sea; on the quay "
    'people of many countries stood close together. "It was a good life," said Mr. Darcy, and '
    "closed the book. In 1990 he left, and Mrs. Bennet was not sure that he would return."
)
SPACED = {
    "English": ENGLISH,
    "German": "Der alte Kapitän ging jeden Morgen an das Ufer des Flusses und sah lange auf das "
    "Wasser, das langsam an der Stadt vorbeifloss. Er erinnerte sich an die Zeiten, als große "
    "Schiffe kamen und sich Menschen aus vielen Ländern am Hafen drängten.",
    "Russian": "Старый капитан каждое утро выходил на берег реки и долго смотрел на воду, которая "
    "медленно текла мимо города. Он помнил те времена, когда по реке ходили большие корабли.",
    "Korean": "대한민국은 동아시아의 한반도 남부에 있는 나라이다. 서울은 이 나라의 수도이며 가장 큰 "
    "도시이다. 많은 사람들이 지하철을 타고 일터로 가고 저녁에는 가족과 함께 시간을 보낸다. 봄에는 "
    "꽃이 피고 가을에는 단풍이 든다. 나는 어제 친구와 함께 시장에 가서 과일과 채소를 샀다.",
    "Hindi": "भारत दक्षिण एशिया में स्थित एक देश है और इसकी राजधानी नई दिल्ली है। यहाँ अनेक भाषाएँ "
    "बोली जाती हैं और लोग मिलजुल कर रहते हैं। सुबह सूरज निकलता है तो किसान खेतों की ओर चल पड़ते हैं।",
    "Arabic": "تقع المدينة القديمة على ضفة النهر وكان الناس يعبرون الجسر كل صباح ليذهبوا إلى السوق "
    "حيث يبيع التجار الخبز والفاكهة والقماش. وفي المساء يجلس الشيوخ أمام بيوتهم ويتحدثون.",
}
CHINESE = (
    "北京是中华人民共和国的首都，位于华北平原的北部，是全国的政治和文化中心。每天早晨，人们乘坐地铁去"
    "上班，晚上回家和家人一起吃饭。春天花开，秋天叶红。昨天我和朋友去市场买了水果和蔬菜，然后沿着河边"
    "慢慢走回家。我们在路上遇见一位老人，他告诉我们从前这里只有田野和一条小路。"
)
JAPANESE = (
    "今日は天気がいいので、公園を散歩しました。彼は駅の前で古い時計を直していた。川の左岸に小さな船が止ま"
    "っている。先生は新しい本を三冊借りた。雨が降る前に、パンを買いに行こう。庭の木に赤い鳥が二羽来た。昨"
    "日の手紙はまだ机の上にある。彼女は山から来た旅人に道を教えた。"
)
THAI = (
    "เมื่อวานนี้ฉันไปตลาดกับเพื่อนเพื่อซื้อผลไม้และผัก แล้วเราก็เดินกลับบ้านตามริมแม่น้ำ อากาศดีมาก"
    "และมีคนมากมายเดินเล่นในสวน เด็กๆ วิ่งเล่นอยู่หน้าสถานีรถไฟ"
)


def cut(text, width):
    return "\n".join(text[at : at + width] for at in range(0, len(text), width))


def test_hard_wrapped_lines_are_joined_and_paragraphs_are_not():
    wrapped = (
        "CHAPTER I\n\nCall me Ishmael. Some years ago, never mind how long\n"
        "precisely, having little or no money in my purse, and\n"
        "nothing particular to interest me on shore, I thought\n"
        "I would sail about a little.\n\nIt is a way I have.\n"
    )
    assert join_wrapped_lines(wrapped) == (
        "CHAPTER I\n\nCall me Ishmael. Some years ago, never mind how long precisely, having "
        "little or no money in my purse, and nothing particular to interest me on shore, I "
        "thought I would sail about a little.\n\nIt is a way I have.\n"
    )


def test_long_lines_and_lists_keep_their_newlines():
    paragraphs = "\n".join("a sentence of a long paragraph " * 10 for _ in range(5))
    assert join_wrapped_lines(paragraphs) == paragraphs
    shopping = "apples and pears\n- a loaf of bread\n- eight eggs\nmilk"
    assert join_wrapped_lines(shopping) == shopping


@pytest.mark.parametrize("width", [45, 60, 72])
@pytest.mark.parametrize("language", SPACED)
def test_wrapped_prose_of_a_script_with_blanks_is_as_before(language, width):
    prose = f"{SPACED[language]} {SPACED[language]}"
    wrapped = textwrap.fill(prose, width)
    assert wrapped.count("\n") >= 3
    assert join_wrapped_lines(wrapped) == prose
    two = f"{wrapped}\n\n{wrapped}\n"
    assert join_wrapped_lines(two) == f"{prose}\n\n{prose}\n"


@pytest.mark.parametrize("width", [25, 40])
@pytest.mark.parametrize("prose", [CHINESE, JAPANESE])
def test_wrapped_prose_of_a_script_without_blanks_gets_none(prose, width):
    assert join_wrapped_lines(f"{cut(prose, width)}\n\n{prose[:width]}\n") == (
        f"{prose}\n\n{prose[:width]}\n"
    )


def test_no_blank_enters_a_word_that_is_broken_at_its_hyphen():
    prose = (
        "The self-government of the well-to-do north-western counties was a far-reaching half-truth "
        "of the eighteen-eighties, and pre- and post-war writers of 1889-1914 called the state-of-"
        "the-art a never-ending give-and-take of old-fashioned and up-to-date customs."
    )
    for width in (44, 50, 58, 66):
        wrapped = textwrap.fill(f"{prose} {prose}", width)
        assert join_wrapped_lines(wrapped) == f"{prose} {prose}"
    divided = textwrap.fill(prose, 50).replace("-\n", "\u00ad\n")
    assert "\u00ad " not in join_wrapped_lines(divided)


def test_a_full_stop_never_begins_a_line_and_makes_the_one_before_shorter():
    lines, at = [], 0
    while at < len(CHINESE):
        stop = at + 31
        while stop < len(CHINESE) and CHINESE[stop] in "，。":
            stop -= 1
        lines.append(CHINESE[at:stop])
        at = stop
    assert len(set(map(len, lines[:-1]))) > 1
    assert join_wrapped_lines("\n".join(lines)) == CHINESE


def test_lines_of_words_that_are_cut_after_so_many_characters_are_put_together():
    assert join_wrapped_lines(cut(ENGLISH, 50)) == ENGLISH
    korean = f"{SPACED['Korean']} {SPACED['Korean']}"
    assert join_wrapped_lines(cut(korean, 41)) == korean
    assert join_wrapped_lines(cut(THAI, 40)) == THAI


def test_phrases_of_thai_stay_lines_where_nobody_knows_whether_a_blank_was_there():
    lines = textwrap.fill(THAI, 48)
    assert join_wrapped_lines(lines) == lines


# Texts as they are, each as wide as it was.
# ruff: noqa: E501
LETTERS = "ACGTTGCAACGTAGGCTATCGGATCCAT" * 40
LEFT_ALONE = {
    "FASTA": ">sp|P69905 Hemoglobin subunit alpha\n" + cut(LETTERS[:700], 60),
    "bare sequence": cut(LETTERS[:700], 70),
    "base64": "\n".join(
        "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJz" for _ in "12345"
    ),
    "log": "\n".join(
        f"2026-11-26 10:{m:02} INFO worker {m} " + "took the next job of the queue"[: 9 + m % 20]
        for m in range(40)
    ),
    "log of small letters": "\n".join(
        f"{kind}: worker {m} " + "took the next job of the queue and waits"[: 20 + 3 * m % 20]
        for m, kind in enumerate(["info", "debug", "warning"] * 12)
    ),
    "code": Path(tfactors.text.wrapped_lines.__file__).read_text("utf-8").partition("\n_CODE")[2],
    "sonnet": "Shall I compare thee to a summer's day?\nThou art more lovely and more temperate:\n"
    "Rough winds do shake the darling buds of May,\nAnd summer's lease hath all too short a date;\n"
    "Sometime too hot the eye of heaven shines,\nAnd often is his gold complexion dimm'd;",
    "blank verse": "Of Man's first disobedience, and the fruit\nOf that forbidden tree whose mortal "
    "taste\nBrought death into the World, and all our woe,\nWith loss of Eden, till one greater "
    "Man\nRestore us, and regain the blissful seat,\nSing, Heavenly Muse, that, on the secret top",
    "verse without capitals": "the trees are coming into leaf again and then\nsomething is almost "
    "being said tonight\nthe recent buds relax and spread\ntheir greenness is a kind of grief to "
    "me\nis it that they are born again\nand we grow old no they die too in time\ntheir yearly "
    "trick of looking new each year\nis written down in rings of grain",
    "Arabic verse": "قفا نبك من ذكرى حبيب ومنزل بسقط اللوى\nبين الدخول فحومل وتوضح\nفالمقراة لم يعف "
    "رسمها لما نسجتها\nمن جنوب وشمأل ترى بعر الأرآم\nفي عرصاتها وقيعانها كأنه حب فلفل",
    "Chinese verse": "床前明月光，\n疑是地上霜。\n举头望明月，\n低头思故乡。",
    "long Chinese verse": "海内存知己天涯若比邻无为在歧路儿女共沾巾，\n" * 6,
    "Markdown": "# A title of the document that has many words\n\n- the first item of a list that is "
    "long\n- the second item of a list that is as long\n1. a numbered item of the list of many\n"
    "2. another numbered item of the list of many\n\n| name | the value of it | another cell |\n"
    "|------|-----------------|--------------|\n| a    | the first value | and so on it |",
    "table": "\n".join(f"{n:<12} {n * 7:>9}   {n * n:>9}   a remark on row {n}" for n in range(30)),
    "headers of a mail": "From: Ada Lovelace <ada@example.org>\nTo: Charles Babbage <cb@example.org>\n"
    "Subject: the meeting on Monday that we spoke of\nDate: Mon, 23 Nov 2026 10:00:00 +0100",
    "quotations": "> I think that we should meet on Monday at ten, or if that\n> does not suit you at "
    "eleven, in the room on the second\nThat would be fine with me.",
    "subtitles": "\n\n".join(
        f"{n}\n00:00:{n:02},000 --> 00:00:{n:02},900\nI never said that I would go all the way\n"
        "to the market with you on Monday"
        for n in range(1, 9)
    ),
}


LEFT_ALONE["verse in small letters"] = "\n".join(
    [
        "the old man went down to the river in the morning light,",
        "and there he saw the ships that had come in the night;",
        "the sails were white, the masts were tall and straight,",
        "and yet he knew that he had come an hour too late;",
        "so back he went along the road that he had come by,",
        "below the hanging willows and a grey and empty sky.",
    ]
)
# As `cut -c1-40` leaves them.
LEFT_ALONE["ends thrown away"] = "\n".join(
    f"{at + 1}. {ENGLISH[7 * at : 7 * at + 90].strip()}"[:45] for at in range(9)
)
LEFT_ALONE["lists whose ends were thrown away"] = "\n".join(
    f"{ENGLISH[at].upper()}{ENGLISH[at + 1 : at + 60]}"
    for at in range(len(ENGLISH) - 60)
    if ENGLISH[at].islower() and ENGLISH[at - 1] == " "
)


@pytest.mark.parametrize("kind", LEFT_ALONE)
def test_what_is_no_wrapped_prose_keeps_its_lines(kind):
    assert join_wrapped_lines(LEFT_ALONE[kind]) == LEFT_ALONE[kind]


@pytest.mark.parametrize("kind", ["sonnet", "FASTA", "log", "table", "Chinese verse"])
def test_it_keeps_them_between_paragraphs_of_prose_as_well(kind):
    prose = textwrap.fill(ENGLISH, 60)
    text = f"{prose}\n\n{LEFT_ALONE[kind]}\n\n{prose}"
    assert join_wrapped_lines(text) == f"{ENGLISH}\n\n{LEFT_ALONE[kind]}\n\n{ENGLISH}"


@given(st.text(alphabet="ab \n\r-1.日本。เ한é", max_size=300))
def test_joining_lines_changes_nothing_but_line_ends(text):
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    joined = join_wrapped_lines(text)
    assert joined.replace("\n", "").replace(" ", "") == text.replace("\n", "").replace(" ", "")
    assert joined.split() == text.split() or any(map("日本。เ-".__contains__, text))
