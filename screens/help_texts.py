"""What F1 says of each place: what it is for, what costs money there, what to do when it does not work."""

from __future__ import annotations

from collections.abc import Iterator

from tui.messages import t

ABOUT = {
    "sign_in": (
        "Everything is done as one identity: your own by `az login` or a device code, an application's by its"
        " secret or certificate, or this Azure machine's. A secret is kept in the keyring where there is one,"
        " else in memory; never in a file."
    ),
    "access": (
        "The doctor asks Azure what this identity may do, which providers the subscription has registered and"
        " which regions offer fine-tuning. A problem names the step that would fail, the role that mends it "
        "and the exact command."
    ),
    "project": (
        "A run lives in a project, a project in a hub, a hub in a resource group of one region. The region "
        "decides which models can be tuned. What does not exist is made at the submit."
    ),
    "model": (
        "The catalogue is read from Azure with each model's dates. A retired model is shown with its "
        "successor and refused before anything is uploaded. `serverless` is billed by tokens, `managed` and "
        "`script` by GPU hours."
    ),
    "data": (
        'One conversation a line: {"messages": [{"role": …, "content": …}, …]}. The check reads the whole '
        "file on this machine. Faults are grouped by code; r reads the rows, m shows what can be mended. The "
        "original never changes."
    ),
    "validation": (
        "Rows held back from training show whether the loss falls on what the model has not seen. Without "
        "them there is no proof that tuning helped."
    ),
    "hyperparameters": (
        "The portal's three knobs, and for the script engine the rest. The line below says how many steps and"
        " tokens they amount to. The budget refuses a submit whose estimate is higher."
    ),
    "review": (
        "Everything in one place, what is open first. The same run as az lines, Python and Bicep is in the "
        "tabs. Nothing is created, uploaded or billed before you say yes to the last question."
    ),
    "monitor": (
        "The job as Azure reports it: its phase, the losses and the log, asked for anew while it runs. "
        "Training loss should fall; where validation loss rises again while it falls, the model learns the "
        "rows by heart. Leaving the page or the program does not stop the job."
    ),
    "deploy": (
        "An endpoint makes the tuned model answer. The upper part is the one that Enter makes, below is what "
        "exists already. Deploying takes minutes and goes on while you are on other pages."
    ),
    "playground": (
        "Talk to the endpoint; the answer arrives as it is made. The first question is one of the held-out "
        "rows with its system prompt, because a tuned model answers best what it was tuned for. What was said"
        " before is sent along each time."
    ),
    "evaluate": (
        "Whether tuning helped: base and tuned model answer the same held-out rows, which the training never "
        "saw, and the figures say which is better and how sure that is. An interval that contains zero "
        "decides nothing: ask more questions. The report is written to a file."
    ),
    "cleanup": (
        "What this project left on Azure, what bills first. Marked things are removed in the order that Azure"
        " wants: endpoints, then models, then project and hub; what goes with its project is counted as gone "
        "with it."
    ),
    "jobs": (
        "All fine-tuning jobs of the project, also those that were submitted elsewhere. Each can be opened in"
        " the monitor, and its choices taken for the next run."
    ),
}
"""What each place is for; not translated yet."""

COSTS = {
    "access": "Looking costs nothing. Registering a provider and making a resource group cost nothing either.",
    "project": (
        "Hub and project cost nothing by themselves; the storage account below them bills for what lies in it."
    ),
    "review": (
        "The training, once; the Price view says what is known of it and what is not. A submit that is under "
        "way is waited for, not sent again."
    ),
    "monitor": (
        "Waiting in the queue is not billed, nor is a serverless job that is cancelled. Own compute is billed "
        "for its time."
    ),
    "deploy": (
        "An endpoint of a tuned model bills by the hour from the moment it stands, also while nobody asks it,"
        " until x deletes it here or the clean-up removes it."
    ),
    "playground": (
        "Each question is billed by its tokens, those of what was said before among them; n begins anew. The "
        "endpoint bills by the hour besides."
    ),
    "evaluate": (
        "Each question is billed by its tokens, for both models. An endpoint of the base model is made for "
        "the comparison and removed after it, also when you stop."
    ),
    "cleanup": (
        "Looking and removing cost nothing. What bills by the hour is marked already; the rest costs nothing "
        "or cents, but a model that is removed has to be trained again."
    ),
    "jobs": "Looking costs nothing. Run again and Next run lead to the review, which asks with the price.",
}
"""What costs money at a place; not translated yet."""

TROUBLE = {
    "sign_in": "The error names the command that mends it, most often `az login`. F5 tries again.",
    "access": (
        "Go to the problem with the arrows: below it stands what mends it. F6 does it from here where this "
        "identity may; c shows the command for somebody who may."
    ),
    "project": (
        "A name that is taken elsewhere, or a region that does not offer the model: the field says so as it is left."
    ),
    "data": ("r reads the faulty rows one by one, m writes a mended copy and goes on with it. F6 picks another file."),
    "review": (
        "A submit that lost its connection looks for what it made before it goes on: nothing is made or bought twice."
    ),
    "monitor": (
        "While Azure does not answer, the last known state stays on the page and is asked for again. Of a job"
        " that failed, v shows the reason and Azure's own answer; n on Jobs takes its choices for the next "
        "run."
    ),
    "deploy": (
        "An endpoint that failed stays in the list: delete it with x and deploy again. Where the connection "
        "is lost meanwhile, F5 shows what became of it; an endpoint is not made twice."
    ),
    "playground": (
        "A refusal by content safety is said in the answer's place. F6 stops an answer that hangs; then ask again."
    ),
    "evaluate": (
        "F6 stops the questions; r goes back to the plan. Rows that content safety refuses are counted apart."
        " Where the figures are poor, read the lost rows one by one with the arrows."
    ),
    "cleanup": (
        "What could not be removed stays in the list, with the reason. Azure often needs a few minutes "
        "between an endpoint and what is below it: then remove it again. F5 looks anew."
    ),
    "jobs": "A job that failed opens in the monitor with its reason. F5 asks Azure again.",
}
"""What to do at a place when it does not work; not translated yet."""


def about_page(place: str) -> str:
    """What a place is for."""
    return t(ABOUT[place])


def sections(place: str) -> Iterator[tuple[str, str]]:
    """What is to be said of a place: heading (empty: what it is for) and text."""
    for heading, texts in (("", ABOUT), (t("What costs money"), COSTS), (t("When it does not work"), TROUBLE)):
        if place in texts:
            yield heading, t(texts[place])
