"""``llm``: a model writes scaffolds, evolves good ones from what they did, and mends those that fail their trial."""

import threading
from pathlib import Path
from typing import Any

from pydantic import Field

from coordinator.proposers.base import Draft, Order, Proposer, Setting, Tools
from coordinator.proposers.extract import extract_code
from coordinator.proposers.ideas import Ideas, parse_ideas
from coordinator.proposers.options import Options
from coordinator.proposers.prompts import CODE_LIMIT, LOG_LIMIT, Context, common, cut, numbers, parent_view, samples
from coordinator.proposers.templates import Templates, builtin_templates, own_templates
from shared.model_names import parse_model
from shared.models.ask import Answer, AskRequest

_IDEAS = "ideas.json"
_APART = 1_000_003
"""Between the seeds of two attempts."""


class LlmOptions(Options):
    """Which model writes, and what it is shown."""

    model: str = Field(min_length=1)
    temperature: float | None = Field(default=None, ge=0, le=2)
    max_tokens: int | None = Field(default=None, ge=1)
    examples: int = Field(default=3, ge=0, le=1000)
    """Training examples in a prompt, answers and all."""
    runs: int = Field(default=5, ge=0, le=1000)
    """Training runs of a parent in the prompt for its child; those with the lowest scores."""
    ideas: bool = True
    """Whether the model is asked for different ideas before it writes a first generation of several."""
    show_scorer: bool = False
    """Whether the scorer's source is in the prompts."""
    templates: str | None = Field(default=None, min_length=1)
    """A folder, counted from the spec's, with templates that take the place of the built-in ones of the same name."""
    at_once: int | None = Field(default=None, ge=1, le=64)
    """Scaffolds written at the same time; None: 4, and 1 where the model is simulated."""


class LlmProposer(Proposer):
    """Asks one model for each draft; its answer must hold the whole file in one code block.

    The number of the order goes with each question: simulated and local models answer the same words differently in
    another order, and ``sim/script`` with a list of texts gives each order the text of its number. A repair has the
    number of its order, so a script that is to mend a scaffold needs rules, which match what the repair's prompt says.
    """

    Options = LlmOptions

    def __init__(self, options: LlmOptions, tools: Tools) -> None:
        super().__init__(options, tools)
        self._options = options
        self._templates = Templates(tools.kept)
        self._client = tools.connect(options.model)
        self._asking_for_ideas = threading.Lock()
        self.at_once = options.at_once or self._client.at_once
        self._common = common(tools.task, options.examples, options.show_scorer)
        self._system = self._templates.render("system.j2", self._common)

    @classmethod
    def check(cls, options: LlmOptions, setting: Setting) -> dict[str, str]:
        parse_model(options.model, setting.models or {})
        texts = builtin_templates()
        if options.templates is not None:
            texts |= own_templates(setting.folder / Path(options.templates).expanduser())
        Templates(texts).check(samples())
        return texts

    @classmethod
    def models(cls, options: LlmOptions) -> tuple[str, ...]:
        return (options.model,)

    def propose(self, order: Order) -> Draft:
        if order.parent is not None:
            evolving = parent_view(order.parent, self._options.runs)
            return self._draft(order, self._prompt("evolve.j2", {**numbers(order), **evolving}))
        ideas = self._ideas(order)
        idea = ideas.of(order.index) if ideas else None
        draft = self._draft(order, self._prompt("first.j2", {**numbers(order), "idea": idea}))
        notes: dict[str, Any] = {"idea": idea} if idea else {}
        if ideas and order.index == 0:  # the question that was asked for all of them is told once
            notes["ideas"] = ideas.model_dump(mode="json")
        return draft.model_copy(update={"notes": {**draft.notes, **notes}})

    def repair(self, order: Order, draft: Draft, problem: str) -> Draft | None:
        failed: Context = {
            "code": None if draft.code is None else cut(draft.code, CODE_LIMIT),
            "response": None if draft.response is None else cut(draft.response, CODE_LIMIT),
            "problem": cut(problem, LOG_LIMIT),
        }
        return self._draft(order, self._prompt("repair.j2", failed))

    def close(self) -> None:
        self._client.close()

    def _prompt(self, template: str, context: Context) -> str:
        return self._templates.render(template, {**self._common, **context})

    def _ask(self, prompt: str, order: Order, call: int) -> Answer:
        return self._client.ask(
            AskRequest(
                prompt=prompt,
                system=self._system,
                temperature=self._options.temperature,
                max_tokens=self._options.max_tokens,
                # Another attempt may ask the same words, and is to be answered differently.
                seed=order.seed + _APART * order.attempt,
                call=call,
            )
        )

    def _draft(self, order: Order, prompt: str) -> Draft:
        answer = self._ask(prompt, order, order.number)
        code, problem = None, answer.problem
        if answer.text is not None:
            found = extract_code(answer.text)
            code, problem = found.code, found.problem
        return Draft(
            code=code,
            problem=problem,
            model=self._options.model,
            prompt=self._told(prompt),
            response=answer.text,
            usage=answer.usage,
            notes={} if answer.finish_reason == "stop" else {"finish_reason": answer.finish_reason},
        )

    def _ideas(self, order: Order) -> Ideas | None:
        """The experiment's ideas; they are asked for at the first order that needs them, and kept."""
        if not self._options.ideas or order.count < 2:
            return None
        with self._asking_for_ideas:
            kept = self.tools.kept.get(_IDEAS)
            if kept is not None:
                return Ideas.model_validate_json(kept)
            prompt = self._prompt("ideas.j2", {"count": order.count})
            answer = self._ask(prompt, order, 0)
            ideas = Ideas(
                ideas=parse_ideas(answer.text or "", order.count),
                model=self._options.model,
                prompt=self._told(prompt),
                response=answer.text,
                problem=answer.problem,
                usage=answer.usage,
            )
            self.tools.kept[_IDEAS] = ideas.model_dump_json(indent=2) + "\n"
            return ideas

    def _told(self, prompt: str) -> str:
        return f"{self._system}\n\n{prompt}"
