import gzip

import pytest

from hf_strategies.data.corpus import TRAIN, VALIDATION, Corpus
from hf_strategies.data.documents import BrokenRecords
from hf_strategies.data.fasta import PIECE_BYTES, read_fasta
from hf_strategies.data.regions import LONGEST_DOCUMENT
from hf_strategies.data.sources import TextSource
from hf_strategies.errors import UserError
from hf_strategies.randomness import generator


@pytest.fixture
def fasta(tmp_path):
    def write(text: str, name: str = "x.fa"):
        path = tmp_path / name
        raw = text.encode()
        path.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
        return path

    return write


def random_bases(length: int, seed: int = 0) -> str:
    return "".join(generator(seed, 0, 0, "bases").choice(list("ACGT"), size=length))


def sides(*paths, validation_share=0.05, broken=None, **options):
    source = TextSource(files=tuple(map(str, paths)), **options)
    found = {TRAIN: [], VALIDATION: []}
    broken = BrokenRecords() if broken is None else broken
    for side, text in Corpus(source, None, validation_share=validation_share).read(broken):
        found[side].append(text)
    return found


@pytest.mark.parametrize("name", ["x.fa", "x.fasta", "x.fna", "x.FA.gz"])
def test_a_record_is_its_lines_in_capitals_and_what_was_changed_is_counted(fasta, name):
    broken = BrokenRecords()
    path = fasta(">one  first of two\r\nACgt\r\nNRyA\r\n\r\n>two\nTT\n  A\n", name)
    pieces = list(read_fasta(path, broken))
    assert [tuple(piece) for piece in pieces] == [("one", 1, "ACGTNNNA"), ("two", 5, "TTA")]
    assert broken.summary().splitlines() == [
        "3 lowercase (soft-masked) bases read as capitals",
        "2 letters for more than one base (IUPAC) read as N",
    ]


@pytest.mark.parametrize("width", [60, 10**9], ids=["in lines", "in one line"])
def test_a_long_record_comes_in_pieces_of_about_a_megabyte(fasta, width):
    bases = random_bases(3 * PIECE_BYTES)
    lines = "\n".join(bases[begin : begin + width] for begin in range(0, len(bases), width))
    pieces = list(read_fasta(fasta(f">chr1\n{lines}\n"), BrokenRecords()))
    assert "".join(piece.bases for piece in pieces) == bases
    assert max(len(piece.bases) for piece in pieces) <= PIECE_BYTES
    assert len(pieces) in (3, 4)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (">sp|P1 a protein\nACGT\nMKEQ\n", r"x\.fa:3: expected the bases A C G T N, .*; got 'E' in record 'sp\|P1'"),
        (f">one\n{'ACGT' * 400_000}\nAC-T\n", r"x\.fa:3: expected .*; got '-' in record 'one'"),
        ("ACGT\n>one\nACGT\n", r"x\.fa:1: a FASTA file begins with '>' and a name, got 'ACGT'"),
    ],
)
def test_letters_that_are_no_bases_are_refused_by_row_and_record(fasta, text, complaint):
    with pytest.raises(UserError, match=complaint) as refused:
        sides(fasta(text))
    assert "\n" not in str(refused.value)


def test_a_gzip_file_that_was_cut_off_is_refused(fasta):
    path = fasta(f">one\n{random_bases(10_000)}\n", "x.fa.gz")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"x\.fa\.gz: cannot be read"):
        sides(path)


def test_regions_are_held_out_and_the_others_stay_as_long_as_they_can(fasta):
    bases = random_bases(200_000)
    found = sides(fasta(f">one\n{bases}\n"), validation_share=0.1, region_bases=1000)
    assert sum(map(len, found[VALIDATION])) == pytest.approx(20_000, abs=8_000)  # 200 regions: 20 +- 4.2
    assert sum(map(len, found[TRAIN] + found[VALIDATION])) == 200_000
    places = sorted((bases.index(text), len(text)) for text in found[TRAIN] + found[VALIDATION])
    assert [place for place, _ in places[1:]] == [place + length for place, length in places[:-1]]
    assert all(length % 1000 == 0 for _, length in places)
    assert len(found[TRAIN]) <= len(found[VALIDATION]) + 1  # what lies between two that are held out is one document


def test_a_small_genome_has_a_region_to_validate_on_and_an_end_that_is_no_shorter(fasta):
    for seed in range(20):
        bases = random_bases(2_700, seed)
        found = sides(fasta(f">one\n{bases}\n"), validation_share=1e-9, region_bases=900)
        assert [len(text) for text in found[VALIDATION]] == [900]
        assert sorted("".join(found[TRAIN] + found[VALIDATION])) == sorted(bases)
    short = sides(fasta(">one\n" + bases[:1_799] + "\n"), validation_share=1e-9, region_bases=900)
    assert short == {TRAIN: [bases[:1_799]], VALIDATION: []}


def test_another_record_moves_no_region_to_the_other_side(fasta):
    one = random_bases(100_000)
    alone = sides(fasta(f">one\n{one}\n"), validation_share=0.1)
    behind = sides(fasta(f">new\n{random_bases(50_000, 1)}\n>one\n{one}\n", "y.fa"), validation_share=0.1)
    assert len(alone[VALIDATION]) > 2
    assert set(alone[VALIDATION]) <= set(behind[VALIDATION])


def test_whole_records_are_held_out_by_name_over_several_files(fasta):
    first = fasta(">chr1 a\nAAAA\n>chr14 b\nCCCC\n")
    second = fasta(">chr2\nGGGG\n>chrX\nTTTT\n", "y.fa.gz")
    found = sides(first, second, validation_records=("chr14", "chrX"))
    assert found == {TRAIN: ["AAAA", "GGGG"], VALIDATION: ["CCCC", "TTTT"]}
    with pytest.raises(UserError, match=r"no record 'chr40', did you mean 'chr14'\? \(records: chr1, chr14, chr2, ch"):
        sides(first, second, validation_records=("chr40",))


def test_records_to_hold_out_need_files_of_dna_and_no_other_validation_text(fasta, tmp_path):
    path = fasta(">chr1\nACGT\n>chr2\nACGT\n")
    prose = tmp_path / "x.txt"
    prose.write_text("prose")
    with pytest.raises(UserError, match="validation_records are of FASTA files"):
        sides(prose, validation_records=("chr1",))
    with pytest.raises(UserError, match="validation_records are of FASTA files"):
        Corpus(TextSource(validation_records=("chr1",)), None, validation_share=0.1)
    by_record = TextSource(files=(str(path),), validation_records=("chr1",))
    with pytest.raises(UserError, match="take the place of validation_file"):
        Corpus(by_record, TextSource(files=(str(prose),)), validation_share=0.1)


def test_named_validation_text_leaves_the_genome_whole_but_for_the_longest_documents(fasta, tmp_path):
    bases = random_bases(LONGEST_DOCUMENT + 5_000)
    path, other = fasta(f">one\n{bases}\n"), fasta(">two\nACGT\n", "y.fa")
    corpus = Corpus(TextSource(files=(str(path),)), TextSource(files=(str(other),)), validation_share=0.5)
    texts = [text for side, text in corpus.read(BrokenRecords()) if side == TRAIN]
    assert [len(text) for text in texts] == [LONGEST_DOCUMENT, 5_000]
    assert "".join(texts) == bases


def test_what_nobody_sequenced_is_left_out_and_is_no_bridge(fasta):
    broken = BrokenRecords()
    left, right = random_bases(3_000), random_bases(3_000, 1)
    found = sides(fasta(f">one\n{left}{'N' * 5_000}{right}\n"), broken=broken, region_bases=1000)
    assert sum(map(len, found[TRAIN] + found[VALIDATION])) == 6_000
    assert not any("N" in text for text in found[TRAIN] + found[VALIDATION])
    assert "5,000 bases left out, in regions of nothing but N" in broken.summary()
    assert not any(left[-9:] + right[:9] in text for text in found[TRAIN] + found[VALIDATION])


def test_another_split_of_the_same_file_is_another_corpus(fasta):
    path = fasta(">chr1\nACGT\n>chr2\nACGT\n")

    def identity(share=0.1, **options):
        return Corpus(TextSource(files=(str(path),), **options), None, validation_share=share).identity()

    others = [identity(0.2), identity(region_bases=99), identity(validation_records=("chr1",))]
    assert len({identity(), *others}) == 4
    assert identity() == identity()


def test_a_mitochondrial_genome_is_read_whole(real_data):
    broken = BrokenRecords()
    found = sides(real_data("dna/MT-human.fa"), broken=broken)
    assert sum(map(len, found[TRAIN] + found[VALIDATION])) == 16_569
    assert len(found[VALIDATION]) >= 1
